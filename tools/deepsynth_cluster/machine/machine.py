"""A machine made of namespaces: its own network, mounts and processes.

Its first process is a `pause`. When that is killed, the kernel ends every process, mount and network device of the
machine at once, as if the power went off. Its disk, a folder of the host, stays.
"""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deepsynth_cluster.commands import run_command, wait_until
from deepsynth_cluster.errors import ClusterError
from deepsynth_cluster.machine.cgroups import ControlGroup
from deepsynth_cluster.programs.build import program

BOOT = """
for group in $GROUPS_TO_JOIN; do echo $$ > "$group/cgroup.procs"; done
unshare --net --mount --pid sh -euc '
  # The first child in a new process namespace is its init: when it ends, so does everything else.
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
"""Paths that are private to each machine, in its folder. Everywhere else machines see the host's files."""
KERNEL_SETTINGS = {
    "vm.overcommit_memory": "1",
    "vm.panic_on_oom": "0",
    "kernel.panic": "10",
    "kernel.panic_on_oops": "1",
    "kernel.keys.root_maxkeys": "1000000",
    "kernel.keys.root_maxbytes": "25000000",
}
"""Settings that a kubelet requires. Only the machine sees these values; the kernel's real settings do not change."""

MAX_LINES = 12


@dataclass(frozen=True)
class Machine:
    name: str
    folder: Path
    group: ControlGroup

    @property
    def system_group(self) -> ControlGroup:
        """The group of the machine's own programs. A kubelet creates the groups of pods next to it."""
        return ControlGroup(f"{self.group.path}/system")

    @property
    def init(self) -> int:
        """Process id of the first process, on the host."""
        pause = program("pause")
        found = [pid for pid in self.system_group.processes() if _executable(pid) == pause]
        if not found:
            raise ClusterError(f"machine {self.name} is off")
        return min(found)

    @property
    def is_on(self) -> bool:
        return any(_executable(pid) == program("pause") for pid in self.system_group.processes())

    def on_disk(self, place: str) -> Path:
        """Path on the host of a file that is private to the machine."""
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
        # On a busy machine the last command may end before the first one has begun.
        wait_until(lambda: self.is_on, f"machine {self.name} has its first process", seconds=30, every=0.02)

    def power_off(self) -> None:
        """End all its processes; its folder stays."""
        self.group.kill()
        # Else the next kubelet would look for the container of each group it finds, 3 s each.
        self.group.remove()

    def start(self, name: str, *argv: str, inherited: Sequence[int] = ()) -> None:
        """Start a program in the background, with its output in `logs/NAME.log`."""
        log = self.folder / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = self._environment({"INIT": str(self.init), "LOG": str(log)})
        run_command(["sh", "-euc", START, "sh", *argv], environment=environment, inherited=inherited)

    def run(self, *argv: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on the machine, to its end."""
        enter = ["nsenter", "--target", str(self.init), "--net", "--mount", "--pid", "--", *argv]
        return run_command(enter, stdin=stdin, check=check)

    def read_log_ends(self) -> str:
        """The last lines of each log, for an error: the files may be deleted before anyone reads them."""
        logs = sorted((self.folder / "logs").glob("*.log"))
        return "\n".join(f"--- {self.name} {log.stem}\n{_read_end(log)}" for log in logs)

    def processes_of(self, command: str) -> tuple[int, ...]:
        path = program(command)
        return tuple(pid for pid in self.system_group.processes() if _executable(pid) == path)

    def kill(self, command: str) -> None:
        """Kill a program of the machine, and return when it has ended."""
        self.system_group.kill_processes(self.processes_of(command))

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        groups = " ".join(str(folder) for folder in self.system_group.folders())
        return {"PATH": os.environ["PATH"], "GROUPS_TO_JOIN": groups} | variables


def _read_end(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-MAX_LINES:]
    return "\n".join(line[:300] for line in lines)


def _executable(pid: int) -> Path | None:
    try:
        return Path(f"/proc/{pid}/exe").readlink()
    except OSError:  # it ended, or it is a kernel thread
        return None
