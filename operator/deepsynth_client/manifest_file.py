"""Read resource files exactly as kubectl does, and remember the line of each field for error messages.

kubectl reads YAML with go-yaml v2, which resolves plain scalars differently from PyYAML: `1e-4` is a number there and
a string here, `2024-01-01` is a string there and a date here, `1:30` is a string there and 90 here.
"""

import math
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from deepsynth_api.errors import ConfigurationError

FieldPath = tuple[str | int, ...]
"""Path of a field: ("spec", "datasets", 0, "name")."""

STANDARD_INPUT: Final = "-"
_MAX_VALUES: Final = 100_000
"""Of one document, with those that aliases repeat: ten short lines of aliases can stand for billions of values."""
_MAX_DEPTH: Final = 100
_MAX_DIGITS: Final = 1000
"""Of an integer; longer ones are infinite. Python refuses to convert more than 4300 digits."""
_PLAIN: Final = "plain"
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGER: Final = re.compile(r"([-+]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}


@dataclass(frozen=True)
class ParsedManifest:
    """One resource of a file as it was written, not checked yet. lines: the line of every field, counted from 1."""

    value: dict[str, Any]
    file: str
    lines: Mapping[FieldPath, int] = field(default_factory=dict)

    def find_line(self, path: FieldPath) -> int:
        """The line of the field or, if it was not written, of the nearest one above it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class _Loader(yaml.SafeLoader):
    """Composes nodes only. Plain scalars get the tag "plain", so that `resolve_scalar` can interpret them."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's name for it


_Loader.add_implicit_resolver(_PLAIN, re.compile(r".*", re.DOTALL), None)


def read_manifests(file: str) -> list[ParsedManifest]:
    """Every resource in a file ("-": standard input). Empty documents are skipped; a List gives its items.

    Raises ConfigurationError with file and line when the file cannot be read or is not valid YAML.
    """
    return parse_manifests(_read_text(file), "standard input" if file == STANDARD_INPUT else file)


def parse_manifests(text: str, file: str) -> list[ParsedManifest]:
    """The resources in `text`; `file` is the name shown in errors. Raises ConfigurationError."""
    try:
        nodes = [node for node in yaml.compose_all(text, Loader=_Loader) if node is not None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}" if mark else file
        raise ConfigurationError(f"{where}: not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{file}: not valid YAML: {error}") from error
    except RecursionError as error:
        raise ConfigurationError(f"{file}: must have at most {_MAX_DEPTH} levels") from error
    return [manifest for node in nodes for manifest in _split_list(_build(node, file), file, node.start_mark.line + 1)]


def resolve_scalar(text: str) -> Any:
    """What a plain scalar means to kubectl."""
    if text in _WORDS:
        return _WORDS[text]
    digits = text.replace("_", "")
    if match := _INTEGER.fullmatch(digits):
        return _parse_integer(match[1], match[2])
    return float(digits) if _FLOAT.fullmatch(digits) else text


def _parse_integer(sign: str, digits: str) -> int | float:
    if len(digits) > _MAX_DIGITS:
        return -math.inf if sign == "-" else math.inf
    legacy_octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
    value = int(digits, 8) if legacy_octal else int(digits, 0)
    return -value if sign == "-" else value


def _read_text(file: str) -> str:
    try:
        return sys.stdin.read() if file == STANDARD_INPUT else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: must be UTF-8 text; write the resource as YAML") from error


def _split_list(built: "_Built", file: str, line: int) -> Iterator[ParsedManifest]:
    if built.value is None:
        return
    if not isinstance(built.value, dict):
        raise ConfigurationError(f"{file}:{line}: a resource must be a mapping with apiVersion and kind")
    items = built.value.get("items")
    if built.value.get("kind") != "List" or not isinstance(items, list):
        yield ParsedManifest(built.value, file, built.lines)
        return
    for index, item in enumerate(items):
        lines = {path[2:]: at for path, at in built.lines.items() if path[:2] == ("items", index)}
        yield from _split_list(_Built(file, item, lines), file, lines.get((), line))


@dataclass
class _Built:
    """A document that is being converted. values: how many it has so far."""

    file: str
    value: Any = None
    lines: dict[FieldPath, int] = field(default_factory=dict)
    values: int = 0


def _build(node: yaml.Node, file: str) -> _Built:
    built = _Built(file)
    built.value = _convert(node, (), built, ())
    return built


def _convert(node: yaml.Node, path: FieldPath, built: _Built, above: tuple[yaml.Node, ...]) -> Any:
    built.lines[path] = built.lines.get(path, node.start_mark.line + 1)
    if node in above:
        raise ConfigurationError(f"{built.file}:{node.start_mark.line + 1}: an anchor must not contain itself")
    if len(above) > _MAX_DEPTH:
        raise ConfigurationError(f"{built.file}:{node.start_mark.line + 1}: must have at most {_MAX_DEPTH} levels")
    built.values += 1
    if built.values > _MAX_VALUES:
        raise ConfigurationError(
            f"{built.file}: a document must have at most {_MAX_VALUES:,} values, also counting what aliases repeat; "
            "use fewer aliases, or split the file"
        )
    inside = (*above, node)
    if isinstance(node, yaml.ScalarNode):
        return _convert_scalar(node, built.file)
    if isinstance(node, yaml.SequenceNode):
        return [_convert(child, (*path, index), built, inside) for index, child in enumerate(node.value)]
    return _convert_mapping(node, path, built, inside)


def _convert_scalar(node: yaml.ScalarNode, file: str) -> Any:
    if node.tag in (_PLAIN, "tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:bool"):
        return resolve_scalar(node.value)
    if node.tag == "tag:yaml.org,2002:null":
        return None
    if node.tag == "tag:yaml.org,2002:str":
        return node.value
    raise ConfigurationError(f"{file}:{node.start_mark.line + 1}: unknown tag {node.tag}; remove it")


def _convert_mapping(node: yaml.Node, path: FieldPath, built: _Built, above: tuple[yaml.Node, ...]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = _convert_key(key_node, built.file)
        if key == "<<" and key_node.tag == _PLAIN:
            merged = {**_convert_merge(value_node, path, built, above), **merged}
            continue
        if key in own:
            raise ConfigurationError(f'{built.file}:{line}: key "{key}" already set in map; remove one of them')
        built.lines[*path, key] = line
        own[key] = _convert(value_node, (*path, key), built, above)
    return {**merged, **own}


def _convert_key(node: yaml.Node, file: str) -> str:
    """JSON has only strings as keys: 1 becomes "1", true becomes "true"."""
    if not isinstance(node, yaml.ScalarNode):
        raise ConfigurationError(f"{file}:{node.start_mark.line + 1}: a key must be a string")
    value = _convert_scalar(node, file)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _convert_merge(node: yaml.Node, path: FieldPath, built: _Built, above: tuple[yaml.Node, ...]) -> dict[str, Any]:
    """The mappings behind a `<<` key, the first one winning."""
    sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
    merged: dict[str, Any] = {}
    for source in sources:
        value = _convert(source, path, built, above)
        if not isinstance(value, dict):
            raise ConfigurationError(f"{built.file}:{source.start_mark.line + 1}: the value of << must be a mapping")
        merged = {**value, **merged}
    return merged
