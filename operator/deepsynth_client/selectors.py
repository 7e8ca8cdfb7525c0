"""Label and field selectors as kubectl takes them, for places without an API server.

app=demo, tier!=cache, env in (dev,test), env notin (prod), owner, !owner       labels
status.state=Running, metadata.name!=read-xsum                                  fields
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from deepsynth_client.errors import InvalidError
from deepsynth_client.interface import Manifest, Selection

FIELDS: Final = ("metadata.name", "metadata.namespace", "status.state")
"""What the API server can select by: the names, and selectableFields of the CRDs."""

_Test = Callable[[Mapping[str, str]], bool]
_SET: Final = re.compile(r"(?P<key>\S+)\s+(?P<word>in|notin)\s*\((?P<values>[^()]*)\)")
_EQUAL: Final = re.compile(r"(?P<key>[^\s!=]+)\s*(?P<sign>==?|!=)\s*(?P<value>[^\s!=()]*)")
_EXISTS: Final = re.compile(r"(?P<absent>!?)\s*(?P<key>[A-Za-z0-9][\w./-]*)")


def build_filter(selection: Selection) -> Callable[[Manifest], bool]:
    """Whether the selectors select a resource. Raises InvalidError for one that kubectl would refuse."""
    label_tests = [_parse_label(part) for part in _split(selection.labels)]
    field_tests = [_parse_field(part) for part in _split(selection.fields)]

    def matches(resource: Manifest) -> bool:
        labels = resource["metadata"].get("labels") or {}
        fields = {path: str(_find(resource, path)) for path in FIELDS}
        return all(test(labels) for test in label_tests) and all(test(fields) for test in field_tests)

    return matches


def _split(text: str) -> Iterator[str]:
    """The requirements: commas inside parentheses do not separate them."""
    if text.strip():
        yield from (part.strip() for part in re.split(r",(?![^()]*\))", text))


def _parse_label(part: str) -> _Test:
    if found := _SET.fullmatch(part):
        values = {value.strip() for value in found["values"].split(",")}
        return _test_set(found["key"], values, wanted=found["word"] == "in")
    if found := _EQUAL.fullmatch(part):
        return _test_set(found["key"], {found["value"]}, wanted=found["sign"] != "!=")
    if found := _EXISTS.fullmatch(part):
        key, absent = found["key"], bool(found["absent"])
        return lambda labels: (key in labels) != absent
    raise InvalidError(
        f"--selector: {part!r} is not a requirement; write key=value, key!=value, key in (a,b), key or !key"
    )


def _test_set(key: str, values: set[str], *, wanted: bool) -> _Test:
    """As in Kubernetes, an object without the label matches `!=` and `notin`."""
    return lambda labels: (labels[key] in values) == wanted if key in labels else not wanted


def _parse_field(part: str) -> _Test:
    found = _EQUAL.fullmatch(part)
    if found is None or found["key"] not in FIELDS:
        raise InvalidError(f"--field-selector: {part!r} must be FIELD=VALUE or FIELD!=VALUE with {', '.join(FIELDS)}")
    return _test_set(found["key"], {found["value"]}, wanted=found["sign"] != "!=")


def _find(resource: Any, path: str) -> Any:
    for key in path.split("."):
        resource = (resource or {}).get(key, "")
    return resource or ""
