"""The command line that all generators share: `--write` a file, or `--check` that it is up to date."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def write_or_check(arguments: Sequence[str] | None, path: Path, expected: str, *, what: str, fault: str) -> int:
    """The exit code. what: is written or checked, for --help. fault: what is wrong with a file that differs."""
    parser = argparse.ArgumentParser(description=f"Write or check {what}.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help="write the file")
    action.add_argument("--check", action="store_true", help="fail when the file is out of date")
    if parser.parse_args(arguments).write:
        path.write_text(expected, encoding="utf-8")
    elif not path.exists() or path.read_text(encoding="utf-8") != expected:
        print(f"{path}: {fault}", file=sys.stderr)
        return 1
    return 0
