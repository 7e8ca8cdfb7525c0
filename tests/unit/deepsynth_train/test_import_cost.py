import subprocess
import sys


def test_importing_the_package_loads_neither_torch_nor_transformers() -> None:
    code = "import deepsynth_train, sys; print([m for m in ('torch', 'transformers', 'pyarrow') if m in sys.modules])"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output == "[]\n"
