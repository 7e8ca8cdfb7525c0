"""The programs that build images: Docker, Podman, or Buildah in a store of its own."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from deepsynth_images.errors import ImageError
from deepsynth_images.layout import prune_layout
from deepsynth_images.machine import require_commands

ANSWER_SECONDS: Final = 120
"""For a registry to send an image, and for a service to answer at all."""
STORE_OPTION: Final = "overlay.skip_mount_home=true"
"""Without it, a mount stays behind that keeps the folder from being deleted."""


class Engine(Protocol):
    """Images are named by full references, with a tag."""

    def can_pull(self, image: str) -> bool:
        """Whether `image` is here, or could be fetched within two minutes."""

    def has(self, image: str) -> bool:
        """Whether `image` is in the engine's store."""

    def build(self, image: str, arguments: Sequence[str], log: Path) -> None:
        """Run a build. Raises ImageError with the end of the log, which is whole in `log`."""

    def export(self, image: str, folder: Path) -> Path:
        """Write `image` below `folder` for a cluster to load: a docker-archive or an OCI layout."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Docker or Podman, whose commands are the same; images are in the user's own store."""

    program: str

    def can_pull(self, image: str) -> bool:
        return self.has(image) or _succeeds([self.program, "pull", "--quiet", image], ANSWER_SECONDS)

    def has(self, image: str) -> bool:
        return _succeeds([self.program, "image", "inspect", image])

    def build(self, image: str, arguments: Sequence[str], log: Path) -> None:
        # Containers of a build need what this machine reaches, loopback included: mirrors are often there.
        command = [self.program, "build", "--network", "host", "--tag", image, *arguments]
        # Docker: secrets. Podman: no container runtime, which would insist on cgroups of its own.
        _run_logged(command, log, {"DOCKER_BUILDKIT": "1", "BUILDAH_ISOLATION": "chroot"})

    def export(self, image: str, folder: Path) -> Path:
        archive = folder / f"{_name(image)}.tar"
        staging = archive.with_suffix(".staging")
        staging.unlink(missing_ok=True)
        # Named, as Podman's default differs from Docker's only format.
        form = ["--format", "docker-archive"] if self.program == "podman" else []
        _run_checked([self.program, "save", *form, "--output", str(staging), image])
        staging.replace(archive)
        return archive


@dataclass(frozen=True, slots=True)
class Buildah:
    """Needs neither a service nor cgroups. Its store is below `folder`, so that nobody's images are pruned."""

    folder: Path

    def can_pull(self, image: str) -> bool:
        return self.has(image) or _succeeds([*self._command, "pull", "--quiet", image], ANSWER_SECONDS)

    def has(self, image: str) -> bool:
        return _succeeds([*self._command, "inspect", "--type", "image", image])

    def build(self, image: str, arguments: Sequence[str], log: Path) -> None:
        _succeeds([*self._command, "rm", "--all"])  # what a build that was killed has left
        # A fixed time makes layers of equal files equal: clusters that have one need not load it again.
        options = ["--layers", "--isolation", "chroot", "--network", "host", "--timestamp", "0"]
        _run_logged([*self._command, "build", *options, "--tag", image, *arguments], log, {})
        _succeeds([*self._command, "rmi", "--prune"])

    def export(self, image: str, folder: Path) -> Path:
        """An OCI layout with layers as they are: those that it has already are not written again."""
        require_commands("skopeo")
        layout = folder / _name(image)
        source = f"containers-storage:[overlay@{self._root}+{self._run_root}:{STORE_OPTION}]{image}"
        copy = ["skopeo", "copy", "--quiet", "--dest-oci-accept-uncompressed-layers"]
        _run_checked([*copy, source, f"oci:{layout}:{image}"])
        prune_layout(layout)
        return layout

    @property
    def _command(self) -> list[str]:
        store = ["--root", str(self._root), "--runroot", str(self._run_root)]
        return ["buildah", *store, "--storage-driver", "overlay", "--storage-opt", STORE_OPTION]

    @property
    def _root(self) -> Path:
        return self.folder / "store"

    @property
    def _run_root(self) -> Path:
        return self.folder / "run"


def find_engine(folder: Path) -> Engine:
    """Docker or Podman where they answer, else Buildah, installed where that is possible. Raises ToolError."""
    for program in ("docker", "podman"):
        if shutil.which(program) and _succeeds([program, "info"], ANSWER_SECONDS):
            return CommandLine(program)
    require_commands("buildah")
    return Buildah(folder / "buildah")


def _name(image: str) -> str:
    return image.rpartition("/")[2].partition(":")[0]


def _succeeds(command: Sequence[str], seconds: float | None = None) -> bool:
    try:
        return not subprocess.run(command, capture_output=True, timeout=seconds, check=False).returncode
    except subprocess.TimeoutExpired:
        return False


def _run_checked(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"{' '.join(command[:3])} failed: {done.stderr.strip()[-1000:]}")


def _run_logged(command: Sequence[str], log: Path, environment: dict[str, str]) -> None:
    with log.open("w") as output:
        output.write(f"$ {' '.join(command)}\n")
        output.flush()
        done = subprocess.run(
            command, env=os.environ | environment, stdout=output, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode:
        raise ImageError(f"{' '.join(command[:2])} failed; the end of {log}:\n{log.read_text()[-2000:]}")
