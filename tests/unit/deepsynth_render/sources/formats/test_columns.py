import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import Columns
from deepsynth_render.sources.formats.columns import NO_SUMMARY, ColumnChooser, choose_columns


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
        ([], Columns(), ["it has no columns"]),
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


def test_a_guess_that_differs_from_that_of_another_file_is_refused() -> None:
    chooser = ColumnChooser(Columns())
    assert chooser.choose(["text", "summary", "title"], "train.csv") == ("text", "summary")
    assert chooser.choose(["Text", "Summary"], "test.csv") == ("Text", "Summary")
    with pytest.raises(ConfigurationError, match=r"columns.summary: dev.csv has the column 'title'.*in train.csv"):
        chooser.choose(["text", "title"], "dev.csv")


def test_columns_that_the_user_names_may_not_be_guessed_otherwise() -> None:
    chooser = ColumnChooser(Columns(summary="title"))
    assert chooser.choose(["text", "summary", "title"], "train.csv") == ("text", "title")
    assert chooser.choose(["text", "title"], "dev.csv") == ("text", "title")


def test_rows_are_counted_by_the_columns_they_are_read_from() -> None:
    chooser = ColumnChooser(Columns())
    for names, rows in ((["text", "summary"], 3), (["Text", "summary"], 2), (["text", "summary"], 1)):
        chooser.choose(names, "a.csv")
        assert len(list(chooser.count(iter([("t", "s")] * rows)))) == rows
    read = [(entry.text, entry.summary, entry.rows) for entry in chooser.list_read()]
    assert read == [("text", "summary", 4), ("Text", "summary", 2)]


@pytest.mark.parametrize(
    ("names", "asked", "expected"),
    [
        (["id", "messages"], Columns(), ("messages", "messages")),
        (["conversations", "title"], Columns(), ("conversations", "conversations")),
        (["messages", "text", "summary"], Columns(), ("text", "summary")),
        (["messages", "text", "summary"], Columns(text="messages"), ("messages", "messages")),
        (["messages", "gist"], Columns(text="messages", summary="gist"), ("messages", "gist")),
    ],
)
def test_a_column_of_messages_is_both_unless_the_summary_is_named(
    names: list[str], asked: Columns, expected: tuple[str, str]
) -> None:
    chats = [name for name in names if name in {"messages", "conversations"}]
    assert choose_columns(names, asked, "a.jsonl", chats=chats) == expected


def test_no_column_of_summaries_is_read_if_the_user_says_so() -> None:
    assert choose_columns(["body", "title"], Columns(text="body", summary=""), "train.csv") == ("body", NO_SUMMARY)
    assert choose_columns(["chat"], Columns(text="chat", summary=""), "x", chats=["chat"]) == ("chat", NO_SUMMARY)


def test_a_missing_column_of_summaries_is_refused_with_the_way_to_go_without() -> None:
    with pytest.raises(ConfigurationError, match="'' reads no summaries, for task ocr"):
        choose_columns(["body"], Columns(text="body"), "train.csv")
