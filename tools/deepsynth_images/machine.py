"""What a build needs of this machine: pip's configuration, certificates, Debian's package sources, commands.

Files are handed over as secrets of the build, which no layer keeps.
"""

import json
import os
import shlex
import shutil
import ssl
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deepsynth_host.packages import install_packages

CARRIED_OPTIONS: Final = (
    "index-url",
    "extra-index-url",
    "trusted-host",
    "proxy",
    "timeout",
    "default-timeout",
    "retries",
)
"""pip's options that hold in a build as well; those that name local files do not."""
CERTIFICATE_VARIABLES: Final = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


def write_secrets(folder: Path) -> dict[str, Path]:
    """Files by the name that they have under /run/secrets."""
    certificates = find_certificates()
    options = _read_pip_options()
    pip = build_pip_configuration(options, has_certificates=certificates is not None)
    secrets = {
        "pip.conf": _write(folder / "pip.conf", pip),
        "uv.toml": _write(folder / "uv.toml", build_uv_configuration(options)),
    }
    if certificates:
        secrets["certificates.pem"] = certificates
    sources = find_package_sources()
    if sources:
        secrets["apt.list"] = _write(folder / "apt.list", "".join(f"{source}\n" for source in sources))
    return secrets


def build_pip_configuration(options: Mapping[str, str], *, has_certificates: bool) -> str:
    """A pip.conf of what `pip config list` says, whether it comes from files or from the environment."""
    carried = {name: value for name, value in options.items() if name in CARRIED_OPTIONS}
    if has_certificates:
        carried["cert"] = "/run/secrets/certificates.pem"
    return "[global]\n" + "".join(f"{name} = {value}\n" for name, value in carried.items())


def build_uv_configuration(options: Mapping[str, str]) -> str:
    """The same for uv, which does not read pip's."""
    settings: dict[str, str | list[str]] = {}
    if "index-url" in options:
        settings["index-url"] = options["index-url"]
    for name, of_uv in (("extra-index-url", "extra-index-url"), ("trusted-host", "allow-insecure-host")):
        if name in options:
            settings[of_uv] = options[name].split()
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())


def find_certificates() -> Path | None:
    """The certificates that this machine trusts, in one file."""
    named = [os.environ[name] for name in CERTIFICATE_VARIABLES if name in os.environ]
    default = ssl.get_default_verify_paths().cafile
    paths = [Path(name) for name in (*named, default) if name]
    return next((path for path in paths if path.is_file()), None)


def find_package_sources() -> list[str]:
    """Lines of a sources.list for this machine's own release; none where it is no Debian."""
    if not shutil.which("apt-get"):
        return []
    form = "$(SITE) $(RELEASE) $(COMPONENT)"
    listed = _run("apt-get", "indextargets", "--format", form, "Created-By: Packages").splitlines()
    suite = find_suite()
    wanted = [
        line for line in dict.fromkeys(listed) if line.split()[1:] in ([suite, "main"], [f"{suite}-security", "main"])
    ]
    return [f"deb {line}" for line in wanted]


def find_suite() -> str:
    """Codename of this machine's release."""
    lines = Path("/etc/os-release").read_text().splitlines()
    return next((line.partition("=")[2].strip('"') for line in lines if line.startswith("VERSION_CODENAME=")), "")


def require_commands(*commands: str) -> None:
    """Install the Debian packages of the same names, or say what to install. Raises ToolError."""
    missing = [command for command in commands if not shutil.which(command)]
    install_packages(missing, f"{' and '.join(missing)} not found: install them, or Docker or Podman")


def _read_pip_options() -> dict[str, str]:
    """By the option's own name; the environment comes last and counts."""
    options = {}
    for line in _run(sys.executable, "-m", "pip", "config", "list").splitlines():
        key, _, value = line.partition("=")
        if key.startswith((":env:.", "global.", "install.")):
            options[key.rpartition(".")[2]] = " ".join(shlex.split(value))
    return options


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _write(path: Path, content: str) -> Path:
    path.touch(mode=0o600)  # an address may hold a password
    path.write_text(content)
    return path
