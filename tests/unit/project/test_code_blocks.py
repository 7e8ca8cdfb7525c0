"""Code in the guides is real: resources are valid; commands, targets, values of the chart and names of Python exist."""

import ast
import importlib
import itertools
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest
import yaml

from deepsynth.__main__ import COMMANDS
from deepsynth.command_line.parser import build_parser
from deepsynth_client.manifest_file import ParsedManifest
from deepsynth_local.admission.admit import admit

ROOT = Path(__file__).parents[3]
GUIDES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("charts/*/README.md"),
    *ROOT.glob("examples/**/*.md"),
]
VALUES: dict[str, Any] = yaml.safe_load((ROOT / "charts/deepsynth/values.yaml").read_text())
VALUES_SCHEMA = json.loads((ROOT / "charts/deepsynth/values.schema.json").read_text())
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
BLOCK = re.compile(r"^( *)```([a-z]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    guide: str
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.guide}:{self.line}"


def list_blocks(*languages: str) -> list[Block]:
    blocks = []
    for path in GUIDES:
        text = path.read_text()
        for found in BLOCK.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            code = re.sub(rf"^{found[1]}", "", found[3], flags=re.MULTILINE)
            blocks.append(Block(str(path.relative_to(ROOT)), line, found[2], code))
    return [block for block in blocks if block.language in languages]


def list_commands() -> Iterator[tuple[str, list[str]]]:
    """Place and words of each command of a shell block. Comments and what follows a pipe or && are dropped."""
    for block in list_blocks("", "sh", "bash"):
        for line in block.code.replace("\\\n", " ").splitlines():
            text = line.strip().removeprefix("$ ").removeprefix("sudo ")
            text = re.sub(r"^(?:[A-Z_]+=\S+ )+", "", text)
            if text.startswith(("deepsynth ", ".venv/bin/deepsynth ", "kubectl deepsynth ", "make ", "helm ")):
                for part in re.split(r" (?:&&|\|\||\||>|>>|2>) ", text):
                    yield str(block), shlex.split(part, comments=True)


def is_resource(value: Any) -> bool:
    return isinstance(value, dict) and str(value.get("apiVersion", "")).startswith("deepsynth.io/") and "spec" in value


def merge(values: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    """As Helm merges values."""
    below = {
        key: merge(values[key], part) for key, part in changed.items() if isinstance(part, dict) and values.get(key)
    }
    return {**values, **changed, **below}


def list_resources() -> Iterator[tuple[str, dict[str, Any]]]:
    for block in list_blocks("yaml"):
        for value in yaml.safe_load_all(block.code):
            if is_resource(value):
                yield str(block), value
    for path in ROOT.glob("examples/**/*.yaml"):
        for value in yaml.safe_load_all(path.read_text()):
            if is_resource(value):
                yield str(path.relative_to(ROOT)), value


@pytest.mark.parametrize(
    ("place", "resource"), list(list_resources()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_resource_is_one_that_the_api_server_takes(place: str, resource: dict[str, Any]) -> None:
    assert admit(ParsedManifest(resource, place))["spec"]


@pytest.mark.parametrize("block", list_blocks("yaml"), ids=str)
def test_values_of_the_chart_are_valid(block: Block) -> None:
    for value in yaml.safe_load_all(block.code):
        if isinstance(value, dict) and value.keys() <= VALUES.keys():
            jsonschema.validate(merge(VALUES, value), VALUES_SCHEMA)


def test_commands_of_deepsynth_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    parser, wrong, count = build_parser(), [], 0
    for place, words in list_commands():
        given = words[words[0] == "kubectl" :]
        if given[0].endswith("deepsynth") and given[1] in COMMANDS:
            count += 1
            try:
                parser.parse_args(given[1:])
            except SystemExit as error:
                if error.code:
                    wrong.append(f"{place}: {shlex.join(words)}: {capsys.readouterr().err.splitlines()[-1]}")
    assert count > 30
    assert wrong == []


def test_targets_of_make_exist() -> None:
    named = {
        (place, word)
        for place, words in list_commands()
        if words[0] == "make"
        for word in words[1:]
        if re.fullmatch(r"[a-z0-9-]+", word)
    }
    assert len(named) > 10
    assert sorted(pair for pair in named if pair[1] not in TARGETS) == []


def test_values_that_helm_gets_exist() -> None:
    wrong = []
    for place, words in list_commands():
        if words[0] == "helm":
            given = [after for word, after in itertools.pairwise(words) if word == "--set"]
            for name in re.findall(r"(?:^|,)([A-Za-z.]+)=", ",".join(given)):
                node: Any = VALUES
                for key in name.split("."):
                    node = node.get(key, ...) if isinstance(node, dict) and node else (... if node is ... else {})
                if node is ...:
                    wrong.append(f"{place}: {name}")
    assert wrong == []


@pytest.mark.parametrize("block", list_blocks("python"), ids=str)
def test_python_can_be_parsed_and_our_names_exist(block: Block) -> None:
    for node in ast.walk(ast.parse(block.code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("deepsynth"):
            module = importlib.import_module(node.module or "")
            missing = [name.name for name in node.names if not hasattr(module, name.name)]
            assert missing == [], f"{block}: {node.module} has no {missing}"
