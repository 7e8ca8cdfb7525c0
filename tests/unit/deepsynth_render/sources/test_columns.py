import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import Columns
from deepsynth_render.sources.columns import choose_columns


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["article", "highlights", "id"], ("article", "highlights")),
        (["document", "summary", "id"], ("document", "summary")),
        (["text", "summary", "title"], ("text", "summary")),
        (["id", "dialogue", "summary"], ("dialogue", "summary")),
        (["abstract", "article"], ("article", "abstract")),
        (["Text", "Summary"], ("Text", "Summary")),
    ],
)
def test_the_columns_of_well_known_datasets_are_detected(names: list[str], expected: tuple[str, str]) -> None:
    assert choose_columns(names, Columns(), "data.csv") == expected


def test_columns_that_the_user_names_win_over_detection() -> None:
    asked = Columns(text="title", summary="text")
    assert choose_columns(["text", "summary", "title"], asked, "data.csv") == ("title", "text")


@pytest.mark.parametrize(
    ("names", "asked", "words"),
    [
        (
            ["a", "summary"],
            Columns(),
            ["source.columns.text", "no column with a usual name for the text", "a, summary"],
        ),
        (["text", "b"], Columns(), ["source.columns.summary", "text, b"]),
        (["text", "summary"], Columns(text="body"), ["source.columns.text", "'body'", "text, summary", "data.csv"]),
        ([], Columns(), ["(none)"]),
        (["text"], Columns(text="text", summary="text"), ["must be two columns, both are 'text'"]),
    ],
)
def test_a_missing_column_is_refused_with_a_list_of_those_there_are(
    names: list[str], asked: Columns, words: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        choose_columns(names, asked, "data.csv")
    assert all(word in caught.value.message for word in words)


def test_two_columns_of_the_same_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="2 columns named 'text'") as caught:
        choose_columns(["text", "text", "summary"], Columns(), "data.csv")
    assert caught.value.reason == "DuplicateColumn"
    assert choose_columns(["x", "x", "text", "summary"], Columns(), "data.csv") == ("text", "summary")
