from pathlib import Path

from deepsynth_render.sources.docstrings import (
    DocstringSource,
    choose_split,
    find_modules,
    parse_pairs,
    split_docstring,
)

MODULE = b'''"""First line
continues.

Body of the module.

More of it.
"""

class Thing:
    """A thing."""

    async def later(self):
        """Do it later.

        Body of later.
        """

def earlier():
    """Do it.

        Indented body.
    """
'''


def test_the_first_paragraph_is_the_summary_and_the_rest_the_text() -> None:
    assert split_docstring("First line\ncontinues.\n\nBody.\n\n  More.\n") == (
        "Body.\n\n  More.",
        "First line continues.",
    )


def test_docstrings_are_sorted_by_line_and_those_without_a_body_are_skipped() -> None:
    assert parse_pairs(MODULE) == [
        ("Body of the module.\n\nMore of it.", "First line continues."),
        ("Body of later.", "Do it later."),
        ("Indented body.", "Do it."),
    ]


def test_a_file_that_is_not_valid_python_has_no_pairs() -> None:
    assert parse_pairs(b"def broken(:\n") == []
    assert parse_pairs(b"\0") == []


def test_modules_are_sorted_by_path_without_tests_and_installed_packages(tmp_path: Path) -> None:
    for name in ["b.py", "a/z.py", "a.py", "test/t.py", "x/tests/t.py", "site-packages/p.py", "a/n.txt"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [path.relative_to(tmp_path).as_posix() for path in find_modules(tmp_path)] == ["a.py", "a/z.py", "b.py"]


def test_a_tenth_of_the_texts_is_for_validation_and_equal_texts_share_a_split() -> None:
    splits = [choose_split(f"text {number}") for number in range(2000)]
    assert 150 < splits.count("validation") < 250
    assert choose_split("same") == choose_split("same")


def test_the_revision_depends_only_on_the_pairs(tmp_path: Path) -> None:
    for folder, name in [("one", "m.py"), ("two", "other.py"), ("three", "m.py")]:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(MODULE if folder != "three" else MODULE + b"\n# changed\nx = 1\n")
    (tmp_path / "four").mkdir()
    (tmp_path / "four/m.py").write_bytes(MODULE.replace(b"More", b"Less"))
    one, two, three, four = (DocstringSource(tmp_path / name).revision for name in ["one", "two", "three", "four"])
    assert one == two == three != four


def test_every_pair_is_in_exactly_one_split(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_bytes(MODULE)
    source = DocstringSource(tmp_path)
    rows = [row for split in source.splits for group in source.read(split) for row in group.rows]
    assert sorted(rows) == sorted(parse_pairs(MODULE))
