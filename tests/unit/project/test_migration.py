"""Every command that the migration guide and the French guide name exists, and small ones run."""

import re
import subprocess
from pathlib import Path

import pytest

import deepsynth_train
from deepsynth.__main__ import COMMANDS, main

ROOT = Path(__file__).parents[3]
GUIDES = (ROOT / "docs/tasks/migration.md", ROOT / "docs/fr/guide.md")
BEFORE = [
    *("help", "setup", "test", "test-quick", "test-coverage", "test-trainer", "test-utils", "validate", "fix-critical"),
    *("migrate", "benchmark", "benchmark-trainer", "pipeline", "pipeline-parallel", "pipeline-global"),
    *("example-trainer", "clean", "format", "lint", "quality-check", "generate-dataset", "generate-all-datasets"),
    *("list-datasets", "train-cloud", "train-cloud-all"),
]
"""The targets of the earlier Makefile, in the order of its help."""


def read_rows(section: str) -> list[list[str]]:
    """The cells of the tables in a section of the migration guide, without their heads."""
    text = GUIDES[0].read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [row for row in rows if row[0] != "before"]


def list_new_commands() -> list[str]:
    """Commands in the column of what is used now, and in the code blocks and columns of the French guide."""
    cells = [row[1] for section in ("Targets of make", "Scripts", "Python", "Guides") for row in read_rows(section)]
    french = GUIDES[1].read_text()
    code = [span for text in [*cells, french] for span in re.findall(r"`([^`\n]+)`", text)]
    blocks = [line for block in re.findall(r"```\n(.*?)```", french, re.DOTALL) for line in block.splitlines()]
    return [command for command in dict.fromkeys([*code, *blocks]) if command.startswith(("make ", "deepsynth "))]


def test_every_earlier_target_is_listed_in_order() -> None:
    named = [re.findall(r"`make ([a-z-]+)", row[0]) for row in read_rows("Targets of make")]
    assert [names[0] for names in named if names] == BEFORE


@pytest.mark.parametrize("command", [command for command in list_new_commands() if command.startswith("make ")])
def test_a_named_target_exists_and_takes_these_variables(command: str) -> None:
    words = [word.strip("'") for word in re.findall(r"(?:[^\s']|'[^']*')+", command)]
    arguments = [word.replace("'", "") for word in words[1:]]
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for argument in arguments[1:]:
        value = argument.partition("=")[2]
        assert value in done.stdout, f"{command}: {argument} has no effect"


@pytest.mark.parametrize(
    "verb",
    sorted({command.split()[1] for command in list_new_commands() if command.startswith("deepsynth ")} - {"--help"}),
)
def test_a_named_verb_exists_and_shows_its_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb in COMMANDS
    assert main([verb, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: deepsynth {verb}")


def test_names_of_python_can_be_imported() -> None:
    named = {
        name
        for row in read_rows("Python")
        if "deepsynth_train" in row[1]
        for name in re.findall(r"\b([A-Z]\w+|create_trainer)\b", row[1])
    }
    assert named == {"create_trainer", "Trainer", "TrainConfig"}
    assert named <= set(deepsynth_train.__all__)


def test_settings_of_the_guide_are_fields_of_a_resource() -> None:
    fields = (ROOT / "docs/reference/fields.md").read_text()
    for row in read_rows("Settings of a training"):
        for name in re.findall(r"([A-Za-z]+):", row[1].replace("hf:", "").replace("pvc:", "")):
            assert re.search(rf"\| `[\w.\[\]]*\b{name}` \|", fields), name


def test_the_resources_of_the_french_guide_are_valid(tmp_path: Path) -> None:
    import yaml

    from deepsynth_api.kinds import KINDS

    blocks = re.findall(r"```yaml\n(.*?)```", GUIDES[1].read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        resource = yaml.safe_load(block)
        KINDS[resource["kind"]].resource.model_validate(
            {**resource, "metadata": {**resource["metadata"], "namespace": "a"}}
        )
