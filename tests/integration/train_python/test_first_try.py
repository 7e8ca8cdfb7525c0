"""create_trainer() without arguments: the script, the notebook and the first lines of the French guide."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_train import create_trainer

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "examples/first_training.py"
NOTEBOOK = ROOT / "examples/first_training.ipynb"
GUIDE = ROOT / "docs/fr/guide.md"


def read_notebook() -> list[str]:
    """The code cells."""
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_the_notebook_has_the_code_of_the_script_and_no_output() -> None:
    code = SCRIPT.read_text().split('"""\n\n', maxsplit=1)[1]
    assert "\n\n".join(read_notebook()) == code.rstrip("\n")
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def test_the_french_guide_begins_as_the_notebook_does() -> None:
    (first, *_) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert first.rstrip("\n") == read_notebook()[0]


@pytest.mark.slow
def test_the_cells_of_the_notebook_train_a_model_without_a_network(tmp_path: Path) -> None:
    """The cells run one after the other in one process, as a kernel runs them."""
    cells = read_notebook()
    program = f"names = {{}}\nfor cell in {cells!r}:\n    exec(cell, names)\n"
    no_network = {
        "HF_HUB_OFFLINE": "1",
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "DEEPSYNTH_CACHE": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, **no_network, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = re.search(r"loss of the first step: ([\d.]+), of the last: ([\d.]+)", done.stdout)
    assert found, done.stdout
    assert float(found[2]) < float(found[1]) - 0.5
    (model,) = tmp_path.glob("runs/vit-gpt2-tiny-*/model")
    assert f"the model: {model}" in done.stdout


@pytest.mark.parametrize(("arguments", "missing"), [(("config://vit-gpt2-tiny",), "data"), ((None, "pages"), "model")])
def test_a_model_needs_data_and_data_needs_a_model(arguments: tuple[str, ...], missing: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{missing}: must be given"):
        create_trainer(*arguments)
