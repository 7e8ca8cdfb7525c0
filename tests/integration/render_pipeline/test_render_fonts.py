"""Fonts that users bring, from the spec to the published dataset."""

import json
import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from deepsynth_render.page.fallback import use_fonts
from integration.render_pipeline.render_steps import Steps, build_rows, dropped, read_documents, read_pages, write_jsonl
from integration.render_pipeline.test_render_hub import commit
from support.small_fonts import LICENSE, LICENSE_URL, build_font_file
from support.store.hub_server.repository import Blob
from support.store.hub_server.server import HubServer

Build = Callable[..., Steps]

ICON = "\ue000"
FONT = build_font_file("abcdefghijklmnopqrstuvwxyz" + ICON)


@pytest.fixture(autouse=True)
def _forget_fonts() -> Iterator[None]:
    """Each step runs in a process of its own; here all run in one."""
    yield
    use_fonts([])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = [{**row, "text": f"{row['text']} {ICON}"} for row in build_rows(12)]
    write_jsonl(tmp_path / "source/train.jsonl", rows)
    return tmp_path / "source"


@pytest.fixture
def font(tmp_path: Path) -> Path:
    (tmp_path / "fonts").mkdir()
    (tmp_path / "fonts/OFL.txt").write_text("...", encoding="utf-8")
    path = tmp_path / "fonts/Squares.ttf"
    path.write_bytes(FONT)
    return path


def use(uri: str, **settings: Any) -> dict[str, Any]:
    page = {"size": "160x120", "fontSizesPx": [8], "marginPx": 8, "fontFamilies": ["Squares", "DejaVu Sans"]}
    return {"fonts": [{"name": "Squares", "uri": uri, **settings}], "page": page}


def read_manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "deepsynth/manifest.json").read_bytes())
    return manifest


def test_pages_are_drawn_with_the_file_that_was_planned_even_when_it_is_gone(
    build_steps: Build, source: Path, font: Path, tmp_path: Path
) -> None:
    steps = build_steps(source, rowsPerShard=5, **use(f"file://{font}"))
    steps.plan()
    font.unlink()
    use_fonts([])
    steps.render_all()
    steps.succeed("publish")
    rows = read_pages(tmp_path / "out")
    assert {row["font_family"] for row in rows} == {"Squares", "DejaVu Sans"}
    assert len(read_documents(tmp_path / "out")) == 12
    assert not list((tmp_path / "out").rglob("*fonts*"))


def test_manifest_and_card_name_the_file_its_sha256_and_its_license(
    build_steps: Build, source: Path, font: Path, tmp_path: Path
) -> None:
    build_steps(source, **use(f"file://{font.parent}")).run_all()
    (recorded,) = read_manifest(tmp_path / "out")["look"]["ownFonts"]
    digest = sha256(FONT).hexdigest()
    expected = {"name": "Squares", "path": "Squares.ttf", "sha256": digest, "size": len(FONT), "face": 0}
    assert expected.items() <= recorded.items()
    assert (recorded["license"], recorded["licenseUrl"]) == (LICENSE, LICENSE_URL)
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    row = (
        f"| Squares | `file://{font.parent} Squares.ttf` | `{digest}` | `Version 1.5` | `{LICENSE}` | `{LICENSE_URL}` |"
    )
    assert row in card


def test_a_font_of_a_volume_draws_what_no_other_font_has(
    build_steps: Build, source: Path, font: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "characters that no font has: U+E000" in build_steps(source, "refused").fail("plan", 65)
    monkeypatch.setenv("DEEPSYNTH_VOLUMES", str(tmp_path))
    steps = build_steps(source, **use("pvc://fonts", path="Squares.ttf"))
    assert dropped(steps.run_all()) == {}


@pytest.mark.parametrize("repository", ["datasets/someone/fonts", "someone/fonts"])
def test_a_font_of_the_hub_is_read_at_the_revision_of_the_plan(
    build_steps: Build, source: Path, hub: HubServer, tmp_path: Path, repository: str
) -> None:
    kind = "dataset" if repository.startswith("datasets/") else "model"
    hub.create_repository("someone/fonts", private=True, kind=kind)
    commit(hub, "someone/fonts", {"ofl/Squares.ttf": Blob(FONT, is_lfs=True)}, kind=kind)
    steps = build_steps(source, **use(f"hf://{repository}"))
    steps.plan()
    commit(hub, "someone/fonts", {"ofl/Squares.ttf": Blob(b"another file", is_lfs=True)}, kind=kind)
    steps.render_all()
    steps.succeed("publish")
    (recorded,) = read_manifest(tmp_path / "out")["look"]["ownFonts"]
    assert recorded["path"] == "ofl/Squares.ttf"
    assert len(recorded["revision"]) == 40


def test_another_content_of_the_font_is_another_plan(build_steps: Build, source: Path, font: Path) -> None:
    first = build_steps(source, **use(f"file://{font}")).plan().plan
    font.write_bytes(build_font_file("abc" + ICON))
    second = build_steps(source, "again", **use(f"file://{font}")).plan().plan
    assert first is not None
    assert second is not None
    assert first.digest != second.digest


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"uri": "file:///nowhere"}, r"spec\.fonts\[0\]\.uri: file:///nowhere not found"),
        (
            {"uri": "FOLDER", "path": "Missing.ttf"},
            r"spec\.fonts\[0\]\.path: must be one of the 2 font files .*Missing",
        ),
        ({"uri": "FOLDER"}, r"spec\.fonts\[0\]\.path: .*\(Broken\.OTF, Squares\.ttf\), got none"),
        ({"uri": "FOLDER/empty"}, r"spec\.fonts\[0\]\.uri: .* holds no \.ttf, \.otf, \.ttc, \.otc file"),
        ({"uri": "FOLDER", "path": "Broken.OTF"}, r"spec\.fonts\[0\]: must be a TrueType or OpenType font"),
        ({"uri": "FOLDER", "path": "Squares.ttf", "face": 3}, r"spec\.fonts\[0\]\.face: must be below 1"),
        ({"uri": "FOLDER", "path": "Squares.ttf", "axes": {"wght": "700"}}, r"no axis 'wght'; it is not variable"),
    ],
)
def test_a_font_that_cannot_be_used_fails_the_plan_with_the_field(
    build_steps: Build, source: Path, font: Path, settings: dict[str, Any], message: str
) -> None:
    (font.parent / "Broken.OTF").write_bytes(b"<html>")
    (font.parent / "empty").mkdir()
    uri = settings["uri"].replace("FOLDER", f"file://{font.parent}")
    steps = build_steps(source, **use(**{**settings, "uri": uri}))
    assert re.search(message, steps.fail("plan", 64))


def test_a_file_beyond_the_limit_is_not_read(build_steps: Build, source: Path, font: Path) -> None:
    with font.open("r+b") as file:
        file.truncate(64 * 2**20 + 1)
    message = build_steps(source, **use(f"file://{font}")).fail("plan", 64)
    assert message.startswith("spec.fonts[0]: a font must have at most 67,108,864 bytes, got 67,108,865 (Squares.ttf)")


def test_a_family_that_is_not_there_fails_the_plan(build_steps: Build, source: Path) -> None:
    page = {"size": "160x120", "fontFamilies": ["DejaVu Sans", "Arial"]}
    assert build_steps(source, page=page).fail("plan", 64).startswith("spec.page.fontFamilies[1]: must be DejaVu Sans,")


def test_a_damaged_font_in_staging_is_found(build_steps: Build, source: Path, font: Path, tmp_path: Path) -> None:
    steps = build_steps(source, **use(f"file://{font}"))
    steps.plan()
    (staged,) = tmp_path.rglob(f"plan/fonts/{sha256(FONT).hexdigest()}")
    staged.write_bytes(FONT[:-1])
    assert "is damaged: its sha256 differs" in steps.fail("render", 65, 0)
