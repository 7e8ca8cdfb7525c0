"""Which files of a source are read for which split. Pure: paths and a card in, paths out."""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_render.sources.card import Config

FORMATS: Final = (".parquet", ".jsonl", ".csv")
_KEYWORDS: Final = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
_CONVERTED = re.compile(r"(?P<config>[^/]+)/(?P<partial>partial-)?(?P<split>[^/]+)/\d{4}\.parquet")
"""The Hub's own conversion to parquet: CONFIG/SPLIT/0000.parquet."""
_SPLIT_NAME = re.compile(r"\w+(\.\w+)*")

Layout = Mapping[str, Sequence[str]]
"""Split -> paths in reading order."""


def find_layout(paths: Sequence[str], configs: Sequence[Config], config: str | None, splits: Sequence[str]) -> Layout:
    """Choose configuration and splits among what the source has.

    configs: of the card. config, splits: as the user asked, None and empty for "what there is". Raises
    ConfigurationError that lists the choice, DataError when the source holds no file that can be read.
    """
    known = find_configs(paths, configs)
    if not known:
        raise DataError(
            f"source.uri: no {', '.join(FORMATS)} file among its {len(paths)} file(s)"
            f"{_list_some(paths)}. Convert the data to one of these."
        )
    return _choose_splits(known[_choose_config(known, configs, config)], splits)


def find_configs(paths: Sequence[str], configs: Sequence[Config]) -> dict[str, Layout]:
    """Configuration -> its layout: from the card, else from the Hub's conversion, else from the file names."""
    if stated := {entry.name: _match_patterns(paths, entry) for entry in configs}:
        return {name: layout for name, layout in stated.items() if layout}
    return _find_converted(paths) or _find_by_name(paths)


def _match_patterns(paths: Sequence[str], config: Config) -> Layout:
    matched = {
        split: _readable([path for path in paths if any(_matches(path, pattern) for pattern in patterns)])
        for split, patterns in config.patterns.items()
    }
    return {split: found for split, found in matched.items() if found}


def _matches(path: str, pattern: str) -> bool:
    """A pattern may name a folder; a double star also stands for no folder at all."""
    pattern = pattern.removeprefix("./").rstrip("/")
    return fnmatchcase(path, pattern) or fnmatchcase(path, pattern.replace("**/", "")) or path.startswith(f"{pattern}/")


def _find_converted(paths: Sequence[str]) -> dict[str, Layout]:
    found: dict[str, dict[str, list[str]]] = {}
    for path in paths:
        match = _CONVERTED.fullmatch(path)
        if match and match["partial"]:
            raise DataError(
                f"source.uri: the Hub converted only a part of {match['config']}/{match['split']} to parquet "
                "(sets above 5 GB). Name a copy of the data set that holds parquet files."
            )
        if match:
            found.setdefault(match["config"], {}).setdefault(match["split"], []).append(path)
    return dict(found)


def _find_by_name(paths: Sequence[str]) -> dict[str, Layout]:
    layout: dict[str, list[str]] = {}
    for path in _readable(paths):
        layout.setdefault(guess_split(path), []).append(path)
    return {"default": layout} if layout else {}


def _readable(paths: Sequence[str]) -> list[str]:
    """Files of one format: the first that is there. A set stored in two formats is not to be read twice."""
    for suffix in FORMATS:
        if found := [path for path in paths if path.endswith(suffix)]:
            return found
    return []


def guess_split(path: str) -> str:
    """train, validation or test, by the last word in the path that means one of them; train when none does."""
    words = re.split(r"[^a-z]+", path.rpartition(".")[0].lower())
    return next((_KEYWORDS[word] for word in reversed(words) if word in _KEYWORDS), "train")


def _choose_config(known: Mapping[str, Layout], configs: Sequence[Config], config: str | None) -> str:
    if config is not None and config in known:
        return config
    marked = [entry.name for entry in configs if entry.is_default]
    default = next((name for name in [*marked, "default"] if name in known), None)
    if config is None and (default or len(known) == 1):
        return default or next(iter(known))
    raise ConfigurationError(
        f"source.config: {'choose one' if config is None else f'there is no {config!r}'}; "
        f"the source has {', '.join(sorted(known))}."
    )


def _choose_splits(layout: Layout, splits: Sequence[str]) -> Layout:
    missing = [split for split in splits if split not in layout]
    if missing:
        raise ConfigurationError(f"source.splits: there is no {missing[0]!r}; the source has {', '.join(layout)}.")
    chosen = {split: layout[split] for split in splits} if splits else layout
    for split in chosen:
        if not _SPLIT_NAME.fullmatch(split):
            raise ConfigurationError(f"source.splits: {split!r} cannot name a split; list the others.")
    return chosen


def _list_some(paths: Sequence[str]) -> str:
    return f" (such as {', '.join(paths[:3])})" if paths else ""
