"""CPU seconds of `deepsynth local` for ten documents, nearly all of which is start-up: `make benchmark-local`.

    python benchmarks/local.py [--repeats 5]

Two processes start: the command, and one that is forked for the steps plan, render and publish. User and system time
of all of them is counted, and the least of the repeats is shown. The last column compares with a process that only
imports numpy, measured in turn, because the CPU seconds of a busy machine are longer.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

GENERATION: Final = """
apiVersion: deepsynth.io/v1alpha1
kind: DatasetGeneration
metadata: {{name: ten}}
spec:
  source: {{uri: "file://{folder}/documents.jsonl"}}
  output: {{uri: "pvc://data/pages"}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="the least of them counts (default %(default)s)")
    commands = {
        "import numpy": [sys.executable, "-c", "import numpy"],
        "deepsynth version": [sys.executable, "-m", "deepsynth", "version"],
        "deepsynth local": [sys.executable, "-m", "deepsynth", "local", "-f", "ten.yaml"],
    }
    least = dict.fromkeys(commands, float("inf"))
    for _ in range(parser.parse_args().repeats):
        for name, command in commands.items():
            with tempfile.TemporaryDirectory() as folder:
                write_input(Path(folder))
                least[name] = min(least[name], measure(command, folder))
    print(f"{'':20}{'CPU s':>8}{'ratio':>8}")
    for name, seconds in least.items():
        print(f"{name:20}{seconds:8.2f}{seconds / least['import numpy']:8.1f}")


def write_input(folder: Path) -> None:
    """Ten documents of a page each, and the resource that renders them."""
    text = "The quick brown fox jumps over the lazy dog. " * 20
    rows = [
        {"text": f"Document {number}. {text}", "summary": f"On the fox and the dog, {number}."} for number in range(10)
    ]
    (folder / "documents.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (folder / "ten.yaml").write_text(GENERATION.format(folder=folder))


def measure(command: list[str], folder: str) -> float:
    """CPU seconds of a process and of all that it starts. Raises CalledProcessError when it fails.

    Bytecode is kept, as that of installed packages is: compiling all modules again would take twice as long.
    """
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
