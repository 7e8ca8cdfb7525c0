import subprocess
import sys

from deepsynth_client.errors import CommandExit

INTERRUPTED_IMPORT = """
import sys
import deepsynth

class Finder:
    def find_spec(self, name, path, target=None):
        if name == "deepsynth_api":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Finder())
sys.exit(deepsynth.run_command())
"""


def test_an_interrupt_during_the_imports_ends_the_command_quietly() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED_IMPORT], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (CommandExit.INTERRUPTED, b"")
