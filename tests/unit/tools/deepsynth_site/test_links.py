"""Links of the repository as links of the site."""

from pathlib import Path

import pytest

from deepsynth_site.links import list_linked, rewrite


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "README.md": "# DeepSynth\n",
        "docs/index.md": "# Home\n",
        "docs/tasks/lora.md": "# Fine-tune adapters\n",
        "docs/operations/install.md": "# Install on a cluster\n",
        "examples/lora.yaml": "kind: TrainingRun\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("docs/tasks/lora.md", "[a](../operations/install.md#upgrade)", "[a](../operations/install.md#upgrade)"),
        ("docs/tasks/lora.md", "[a run](../../examples/lora.yaml)", "[a run](../examples/lora.yaml)"),
        ("docs/tasks/lora.md", "[figures](../../README.md#measured)", "[figures](../readme.md#measured)"),
        ("README.md", "[install](docs/operations/install.md)", "[install](operations/install.md)"),
        ("docs/tasks/lora.md", "[kopf](https://example.com/a.md)", "[kopf](https://example.com/a.md)"),
        ("docs/tasks/lora.md", "![a page](page.png)", "![a page](page.png)"),
        ("docs/tasks/lora.md", "[examples/](../../examples/)", "examples/"),
        ("docs/tasks/lora.md", "[above](#top)", "[above](#top)"),
    ],
)  # fmt: skip
def test_a_link_leads_to_the_same_file_on_the_site(root: Path, page: str, link: str, expected: str) -> None:
    assert rewrite(link, page, root) == expected


@pytest.mark.parametrize("name", ["install.md", "operations/install.md", "docs/operations/install.md"])
def test_a_link_that_shows_the_name_of_a_page_shows_its_title(root: Path, name: str) -> None:
    text = f"see [{name}](../operations/install.md#upgrade)"
    assert rewrite(text, "docs/tasks/lora.md", root) == "see [Install on a cluster](../operations/install.md#upgrade)"


def test_code_stays_as_it_is(root: Path) -> None:
    text = "```\n[install.md](../operations/install.md)\n```\n"
    assert rewrite(text, "docs/tasks/lora.md", root) == text
    assert list(list_linked(text, "docs/tasks/lora.md")) == []


def test_linked_files_are_paths_in_the_repository() -> None:
    text = "[a](../../examples/lora.yaml) ![b](lora.png) [c](https://example.com) [d](#top)"
    assert list(list_linked(text, "docs/tasks/lora.md")) == ["examples/lora.yaml", "docs/tasks/lora.png"]
