"""How much memory the container of this process may use."""

from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")
_OWN: Final = Path("/proc/self/cgroup")


def read_memory_limit(root: Path = _ROOT, own: Path = _OWN) -> int | None:
    """Bytes: the lowest limit of the control groups that this process is in; None without one.

    root: where control groups are mounted. own: lists those of this process, as `0::/kubepods/pod1`, or in version 1 as
    `4:memory:/kubepods/pod1`. A container may see the path of its group without seeing the group there.
    """
    groups = dict(line.split(":", 2)[1:] for line in _read(own).splitlines() if line.count(":") >= 2)
    files = [
        *_list_files(root, groups.get("", ""), "memory.max"),
        *_list_files(root / "memory", groups.get("memory", ""), "memory.limit_in_bytes"),
    ]
    texts = [_read(file).strip() for file in files]
    return min((int(text) for text in texts if text.isdigit()), default=None)


def _list_files(root: Path, group: str, name: str) -> list[Path]:
    """Of the group and of those around it."""
    folder = root / group.strip("/")
    return [each / name for each in (folder, *folder.parents) if each.is_relative_to(root)]


def _read(path: Path) -> str:
    """Empty if it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return ""
