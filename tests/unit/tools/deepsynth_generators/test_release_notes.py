import pytest

from deepsynth_generators.release_notes import CHANGELOG, cut_notes
from deepsynth_images.recipe import read_version

BASE = "https://git.example.com/deepsynth/blob/v0.2.0"
TEXT = """\
# Changelog

<!-- releases -->

## 0.2.0 (2026-11-30)

The first
release.

### Added

- Pages
  ([docs](docs/a.md#b)).
- More; see
  [example](https://example.com/x), `-f FILE`
  - inside [here](#there).

## 0.1.0 (2026-11-01)

Older.
"""


def test_a_section_becomes_lines_with_links_that_work_elsewhere() -> None:
    assert cut_notes(TEXT, "0.2.0", BASE) == (
        "The first release.\n\n### Added\n\n"
        f"- Pages ([docs]({BASE}/docs/a.md#b)).\n"
        "- More; see [example](https://example.com/x), `-f FILE`\n"
        "  - inside [here](#there).\n"
    )
    assert cut_notes(TEXT, "0.1.0", BASE) == "Older.\n"


def test_a_version_without_a_section_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no section for 0\.2; run `make changelog VERSION=0\.2`"):
        cut_notes(TEXT, "0.2", BASE)


def test_the_notes_of_this_version_have_no_link_into_the_repository_without_its_address() -> None:
    notes = cut_notes(CHANGELOG.read_text(), read_version(), BASE)
    assert "](docs/" not in notes
    assert f"]({BASE}/docs/" in notes
    assert all(line.startswith(("- ", "#")) or not line or line[0].isalpha() for line in notes.splitlines())
