"""A machine that a test plays: namespaces of its own for the network, mounts and processes.

Its first process is a `pause`; when that is killed, the kernel ends every process, mount and network device of the
machine at once, as if the power went off. What is on its disk (its folder) stays.
"""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deepsynth_cluster.cache import ClusterError
from deepsynth_cluster.cgroups import ControlGroup
from deepsynth_cluster.commands import run_command
from deepsynth_cluster.programs import program

BOOT = """
for group in $GROUPS_TO_JOIN; do echo $$ > "$group/cgroup.procs"; done
unshare --net --mount --pid sh -euc '
  # The first child in a new process namespace is its init: with it everything else ends.
  setsid "$PAUSE" </dev/null >/dev/null 2>&1 &
  mount --make-rshared /
  mount -t proc proc /proc
  mount -t tmpfs tmpfs /run
  for place in $DISK; do
    mkdir -p "$FOLDER/disk$place" "$place"
    mount --bind "$FOLDER/disk$place" "$place"
  done
  for setting in $KERNEL_SETTINGS; do
    mount --bind "$FOLDER/kernel/$setting" "/proc/sys/$(echo "$setting" | tr . /)"
  done
  ip link set lo up
  echo 1 > /proc/sys/net/ipv4/ip_forward
'
"""
START = """
for group in $GROUPS_TO_JOIN; do echo $$ > "$group/cgroup.procs"; done
exec nsenter --target "$INIT" --net --mount --pid --no-fork sh -euc 'setsid "$@" </dev/null >>"$LOG" 2>&1 &' sh "$@"
"""
DISK = ("/var/lib/kubelet", "/var/lib/containerd", "/var/lib/cni", "/var/log/containers", "/var/log/pods")
"""Places that every machine has for itself, in its folder; elsewhere machines see the host's files."""
KERNEL_SETTINGS = {
    "vm.overcommit_memory": "1",
    "vm.panic_on_oom": "0",
    "kernel.panic": "10",
    "kernel.panic_on_oops": "1",
    "kernel.keys.root_maxkeys": "1000000",
    "kernel.keys.root_maxbytes": "25000000",
}
"""What a kubelet insists on. The machine sees them so; the real kernel's settings stay as they are."""

LAST_LINES = 12


@dataclass(frozen=True)
class Machine:
    name: str
    folder: Path
    group: ControlGroup

    @property
    def system_group(self) -> ControlGroup:
        """Where the machine's own programs are; a kubelet makes its pods' groups beside it."""
        return ControlGroup(f"{self.group.path}/system")

    @property
    def init(self) -> int:
        """The first process, as this machine's host counts."""
        pause = program("pause")
        found = [pid for pid in self.system_group.processes() if _executable(pid) == pause]
        if not found:
            raise ClusterError(f"machine {self.name} is off")
        return min(found)

    @property
    def is_on(self) -> bool:
        return any(_executable(pid) == program("pause") for pid in self.system_group.processes())

    def on_disk(self, place: str) -> Path:
        """Return where the host sees a file that the machine has for itself."""
        return self.folder / "disk" / place.removeprefix("/")

    def boot(self) -> None:
        self.system_group.create()
        kernel = self.folder / "kernel"
        kernel.mkdir(parents=True, exist_ok=True)
        for setting, value in KERNEL_SETTINGS.items():
            (kernel / setting).write_text(value + "\n")
        variables = {
            "DISK": " ".join(DISK),
            "FOLDER": str(self.folder),
            "KERNEL_SETTINGS": " ".join(KERNEL_SETTINGS),
            "PAUSE": str(program("pause")),
        }
        run_command(["sh", "-euc", BOOT], environment=self._environment(variables))

    def power_off(self) -> None:
        """End everything on it; its folder stays."""
        self.group.kill()
        # Else a kubelet that starts anew looks for the container of each group it finds, 3 s long.
        self.group.remove()

    def start(self, name: str, *argv: str, inherited: Sequence[int] = ()) -> None:
        """Start a program of the cluster in the background; what it says goes to `logs/NAME.log`."""
        log = self.folder / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = self._environment({"INIT": str(self.init), "LOG": str(log)})
        run_command(["sh", "-euc", START, "sh", *argv], environment=environment, inherited=inherited)

    def run(self, *argv: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on the machine and return what it printed."""
        enter = ["nsenter", "--target", str(self.init), "--net", "--mount", "--pid", "--", *argv]
        return run_command(enter, stdin=stdin, check=check)

    def last_words(self) -> str:
        """Return the end of each log: it may be gone with the cluster before somebody looks."""
        logs = sorted((self.folder / "logs").glob("*.log"))
        return "\n".join(f"--- {self.name} {log.stem}\n{_read_end(log)}" for log in logs)

    def processes_of(self, command: str) -> tuple[int, ...]:
        path = program(command)
        return tuple(pid for pid in self.system_group.processes() if _executable(pid) == path)

    def kill(self, command: str) -> None:
        """Kill a program of the machine and wait until it is gone."""
        self.system_group.kill_processes(self.processes_of(command))

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        groups = " ".join(str(folder) for folder in self.system_group.folders())
        return {"PATH": os.environ["PATH"], "GROUPS_TO_JOIN": groups} | variables


def _read_end(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    return "\n".join(line[:300] for line in lines)


def _executable(pid: int) -> Path | None:
    try:
        return Path(f"/proc/{pid}/exe").readlink()
    except OSError:  # it ended, or it is the kernel's
        return None
