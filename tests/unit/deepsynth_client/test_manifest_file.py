import math
from itertools import pairwise
from pathlib import Path

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_client.manifest_file import parse_manifests, read_manifests, resolve_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 0.0001),
        ("1E4", 10000.0),
        (".5", 0.5),
        ("0o17", 15),
        ("0123", 83),
        ("0x1F", 31),
        ("-7", -7),
        ("1_000", 1000),
        ("089", 89.0),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("1.2.3", "1.2.3"),
        ("12abc", "12abc"),
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("-.inf", -math.inf),
        ("=", "="),
    ],
)
def test_a_plain_scalar_has_the_type_it_has_for_kubectl(text: str, value: object) -> None:
    resolved = resolve_scalar(text)

    assert resolved == value
    assert type(resolved) is type(value)


def test_an_integer_with_thousands_of_digits_is_infinite() -> None:
    assert resolve_scalar("9" * 5000) == resolve_scalar("0x" + "f" * 5000) == math.inf
    assert resolve_scalar("-" + "9" * 5000) == -math.inf


def test_quotes_and_tags_make_a_string() -> None:
    (manifest,) = parse_manifests("a: '1e-4'\nb: !!str 8\nc: !!int '8'\nd: |\n  1\n", "x.yaml")

    assert manifest.value == {"a": "1e-4", "b": "8", "c": 8, "d": "1\n"}


def test_documents_and_items_of_lists_give_a_manifest_each_and_empty_documents_none() -> None:
    text = "---\n# nothing\n---\nkind: A\n---\nkind: List\nitems:\n- kind: B\n- kind: C\n  x: [1]\n"

    manifests = parse_manifests(text, "x.yaml")

    assert [manifest.value["kind"] for manifest in manifests] == ["A", "B", "C"]
    assert manifests[2].find_line(("x", 0)) == 10


def test_a_field_has_its_line_and_a_missing_one_that_of_its_parent() -> None:
    (manifest,) = parse_manifests("kind: A\nspec:\n  a: 1\n  b:\n  - c: 2\n", "x.yaml")

    assert manifest.find_line(("spec", "b", 0, "c")) == 5
    assert manifest.find_line(("spec", "missing", "deep")) == 2
    assert manifest.find_line(()) == 1


def test_anchors_and_merge_keys_are_resolved_and_own_keys_win() -> None:
    text = "base: &base {a: 1, b: 2}\nother: &other {b: 3, c: 4}\nx:\n  <<: [*base, *other]\n  a: 9\n"

    (manifest,) = parse_manifests(text, "x.yaml")

    assert manifest.value["x"] == {"a": 9, "b": 2, "c": 4}


def test_keys_are_strings_as_in_json() -> None:
    (manifest,) = parse_manifests("1: a\ntrue: b\n", "x.yaml")

    assert manifest.value == {"1": "a", "true": "b"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: A\nspec: [1, 2\n", "x.yaml:3: not valid YAML"),
        ("kind: A\n\tspec: 1\n", "x.yaml:2: not valid YAML"),
        ("kind: A\nspec: {}\nkind: B\n", 'x.yaml:3: key "kind" already set in map'),
        ("- 1\n", "x.yaml:1: a resource must be a mapping"),
        ("a: &a [*a]\n", "x.yaml:1: an anchor must not contain itself"),
        ("a: !!binary abc\n", "x.yaml:1: unknown tag"),
        ("? [a]\n: b\n", "x.yaml:1: a key must be a string"),
        ("a: {<<: 3}\n", "x.yaml:1: the value of << must be a mapping"),
        ("a: \x00\n", "x.yaml: not valid YAML"),
        ("a: " + "[" * 200 + "]" * 200, "x.yaml:1: must have at most 100 levels"),
        (
            "a: &a [1]\n" + "".join(f"{b}: &{b} [{f'*{a}, ' * 9}]\n" for a, b in pairwise("abcdefg")),
            "use fewer aliases",
        ),
    ],
)
def test_a_broken_file_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_manifests(text, "x.yaml")

    assert message in caught.value.message


def test_a_file_that_does_not_exist_or_is_not_text_is_named(tmp_path: Path) -> None:
    picture = tmp_path / "picture.yaml"
    picture.write_bytes(b"\x89PNG\xff")

    with pytest.raises(ConfigurationError, match=r"missing\.yaml: cannot be read: No such file"):
        read_manifests(str(tmp_path / "missing.yaml"))
    with pytest.raises(ConfigurationError, match=r"picture\.yaml: must be UTF-8 text"):
        read_manifests(str(picture))
