"""What runs in a short-lived pod, as `python -c SOURCE REQUEST`: it sees the volumes that a user's machine does not.

    {"verb": "measure", "folders": [...]}                   prints {"folder": bytes}; the last part may be a pattern
    {"verb": "fetch", "folder": ..., "patterns": [...]}     prints a tar archive of the files as lines of base64
    {"verb": "remove", "folders": [...]}                    prints {}

Standard library only, because this source is sent to images of any version. Lines are short, because container
runtimes cut long ones. The last line is `end`: without it, the answer is not whole.
"""

import base64
import contextlib
import io
import json
import shutil
import sys
import tarfile
from pathlib import Path

MAX_BYTES = 6_000_000
"""Of the files of one answer: container logs are rotated at 10 MiB. Those that do not fit are skipped."""
_LINE_CHARACTERS = 8000


def measure(folders: list[str]) -> dict[str, int]:
    found = [
        path for folder in folders for path in sorted(Path(folder).parent.glob(Path(folder).name)) if path.is_dir()
    ]
    return {str(folder): sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file()) for folder in found}


def remove(folders: list[str]) -> dict[str, int]:
    """Remove folders with their files. One that is the root of a volume stays, empty."""
    for folder in filter(Path.is_dir, map(Path, folders)):
        for child in folder.iterdir():
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
        with contextlib.suppress(OSError):
            folder.rmdir()
    return {}


def pack(folder: str, patterns: list[str]) -> bytes:
    """A tar archive of the files that match, in the order of the patterns, while they fit."""
    buffer, left = io.BytesIO(), MAX_BYTES
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for pattern in patterns:
            for file in sorted(Path(folder).glob(pattern)):
                if file.is_file() and not file.is_symlink() and file.stat().st_size <= left:
                    left -= file.stat().st_size
                    archive.add(file, str(file.relative_to(folder)), recursive=False)
    return buffer.getvalue()


def answer(request: dict[str, object]) -> list[str]:
    """The lines to print."""
    if request["verb"] == "fetch":
        text = base64.b64encode(pack(str(request["folder"]), list(request["patterns"]))).decode()  # type: ignore[call-overload]
    else:
        verb = {"measure": measure, "remove": remove}[str(request["verb"])]
        text = json.dumps(verb(list(request["folders"])))  # type: ignore[call-overload]
    return [text[at : at + _LINE_CHARACTERS] for at in range(0, len(text), _LINE_CHARACTERS)]


if __name__ == "__main__":
    print(*answer(json.loads(sys.argv[1])), "end", sep="\n")
