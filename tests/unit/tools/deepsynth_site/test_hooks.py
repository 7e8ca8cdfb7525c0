"""What the site's hooks do when MkDocs calls them. It has an environment of its own, so it is played here."""

import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

FILES = {
    "README.md": "# DeepSynth\n[changes](CHANGELOG.md), [a file that is missing](missing.md)\n",
    "CHANGELOG.md": "# Changelog\n[home](docs/index.md)\n",
    "docs/index.md": "# Home\n[read me](../README.md), [an example](../examples/lora.yaml), [lora](tasks/lora.md)\n",
    "docs/tasks/lora.md": "# Fine-tune adapters\n",
    "examples/lora.yaml": "kind: TrainingRun\n",
}


class PluginError(Exception):
    pass


class Files(list[Any]):
    def documentation_pages(self) -> list[Any]:
        return [file for file in self if file.src_uri.endswith(".md")]


class File(SimpleNamespace):
    @classmethod
    def generated(cls, _: Any, src_uri: str, *, abs_src_path: str) -> "File":
        return cls(src_uri=src_uri, abs_src_path=abs_src_path)


@pytest.fixture
def hooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for name, content in (
        ("mkdocs", {}),
        ("mkdocs.exceptions", {"PluginError": PluginError}),
        ("mkdocs.structure", {}),
        ("mkdocs.structure.files", {"File": File, "Files": Files}),
    ):
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "deepsynth_site.hooks", raising=False)
    found = importlib.import_module("deepsynth_site.hooks")
    monkeypatch.delitem(sys.modules, "deepsynth_site.hooks")
    monkeypatch.setattr(found, "ROOT", tmp_path)
    return found


def test_files_outside_docs_that_pages_link_to_are_on_the_site_once_and_so_are_those_that_they_link_to(
    hooks: Any, tmp_path: Path
) -> None:
    files = Files(File(src_uri=name) for name in ("index.md", "tasks/lora.md"))

    found = {file.src_uri: file for file in hooks.on_files(files, config=None)}

    assert sorted(found) == ["CHANGELOG.md", "examples/lora.yaml", "index.md", "readme.md", "tasks/lora.md"]
    assert found["readme.md"].abs_src_path == str(tmp_path / "README.md")
    assert len(files) == len(found)


@pytest.mark.parametrize(
    ("place", "link"), [("index.md", "[an example](examples/lora.yaml)"), ("readme.md", "[changes](CHANGELOG.md)")]
)
def test_links_of_a_page_become_those_of_the_site(hooks: Any, place: str, link: str) -> None:
    name = "README.md" if place == "readme.md" else f"docs/{place}"

    written = hooks.on_page_markdown(FILES[name], SimpleNamespace(file=SimpleNamespace(src_uri=place)))

    assert link in written


def test_a_page_that_breaks_a_rule_ends_the_build_and_is_named(hooks: Any, tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "tasks").mkdir(parents=True)
    (site / "index.html").write_text("<p>fine</p>")
    hooks.on_post_build({"site_dir": str(site)})

    (site / "tasks/lora.html").write_text('<img src="https://elsewhere.example/a.png">')
    with pytest.raises(PluginError, match=r"tasks/lora\.html: loads https://elsewhere\.example/a\.png"):
        hooks.on_post_build({"site_dir": str(site)})
