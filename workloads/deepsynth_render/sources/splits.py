"""Which files of a source are read for which split. Pure: paths and a card in, paths out.

Tried in this order, first match wins:
  the card            configs: [{config_name: main, data_files: [{split: train, path: "data/train-*"}]}]
  the Hub's Parquet   main/train/0000.parquet
  the file names      train.jsonl, data/validation-00000.parquet, my_test.csv
"""

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
"""The Hub's own conversion to Parquet: CONFIG/SPLIT/0000.parquet."""
_SPLIT_NAME = re.compile(r"\w+(\.\w+)*")

SplitFiles = Mapping[str, Sequence[str]]
"""Split -> paths in reading order."""


def find_split_files(
    paths: Sequence[str], configs: Sequence[Config], config: str | None, splits: Sequence[str]
) -> SplitFiles:
    """The files of the splits that the user asks for.

    configs: from the card. config: None for the default one. splits: empty for all. Raises ConfigurationError that
    lists what there is to choose from, DataError when the source has no file of a known format.
    """
    known = find_configs(paths, configs)
    if not known:
        raise DataError(
            f"spec.source.uri: no {', '.join(FORMATS)} file among its {len(paths)} file(s){_list_some(paths)}; "
            "convert the data to one of these formats"
        )
    return _choose_splits(known[_choose_config(known, configs, config)], splits)


def find_configs(paths: Sequence[str], configs: Sequence[Config]) -> dict[str, SplitFiles]:
    """Configuration -> its files by split; see the top of this file."""
    if stated := {entry.name: _match_patterns(paths, entry) for entry in configs}:
        return {name: split_files for name, split_files in stated.items() if split_files}
    return _find_converted(paths) or _find_by_name(paths)


def _match_patterns(paths: Sequence[str], config: Config) -> SplitFiles:
    matched = {
        split: _readable([path for path in paths if any(_matches(path, pattern) for pattern in patterns)])
        for split, patterns in config.patterns.items()
    }
    return {split: found for split, found in matched.items() if found}


def _matches(path: str, pattern: str) -> bool:
    """A pattern may name a folder; a double star also matches no folder at all: `**/*.csv` matches `a.csv`."""
    pattern = pattern.removeprefix("./").rstrip("/")
    return fnmatchcase(path, pattern) or fnmatchcase(path, pattern.replace("**/", "")) or path.startswith(f"{pattern}/")


def _find_converted(paths: Sequence[str]) -> dict[str, SplitFiles]:
    found: dict[str, dict[str, list[str]]] = {}
    for path in paths:
        match = _CONVERTED.fullmatch(path)
        if match and match["partial"]:
            raise DataError(
                f"spec.source.uri: the Hub converted only a part of {match['config']}/{match['split']} to Parquet "
                "(it does so above 5 GB); name a copy of the dataset that holds Parquet files"
            )
        if match:
            found.setdefault(match["config"], {}).setdefault(match["split"], []).append(path)
    return dict(found)


def _find_by_name(paths: Sequence[str]) -> dict[str, SplitFiles]:
    split_files: dict[str, list[str]] = {}
    for path in paths:
        if path.endswith(FORMATS):
            split_files.setdefault(guess_split(path), []).append(path)
    return {"default": {split: _readable(found) for split, found in split_files.items()}} if split_files else {}


def _readable(paths: Sequence[str]) -> list[str]:
    """Files of one format, the first that is found: a split that is stored in two formats is read once."""
    for suffix in FORMATS:
        if found := [path for path in paths if path.endswith(suffix)]:
            return found
    return []


def find_skipped(paths: Sequence[str], split_files: SplitFiles) -> list[str]:
    """Files next to those that are read, by name of the same splits, but in another format."""
    formats = {split: files[0].rpartition(".")[2] for split, files in split_files.items() if files}
    return [
        path
        for path in paths
        if path.endswith(FORMATS) and formats.get(guess_split(path), path.rpartition(".")[2]) != path.rpartition(".")[2]
    ]


def guess_split(path: str) -> str:
    """train, validation or test, by the last word in the path that means one of them; train if none does.

    >>> guess_split("train-set/my_dev.csv"), guess_split("articles.csv")
    ('validation', 'train')
    """
    words = re.split(r"[^a-z]+", path.rpartition(".")[0].lower())
    return next((_KEYWORDS[word] for word in reversed(words) if word in _KEYWORDS), "train")


def _choose_config(known: Mapping[str, SplitFiles], configs: Sequence[Config], config: str | None) -> str:
    if config is not None and config in known:
        return config
    marked = [entry.name for entry in configs if entry.is_default]
    default = next((name for name in [*marked, "default"] if name in known), None)
    if config is None and (default or len(known) == 1):
        return default or next(iter(known))
    raise ConfigurationError(
        f"spec.source.config: {'choose one' if config is None else f'no configuration {config!r}'}; "
        f"the source has {', '.join(sorted(known))}"
    )


def _choose_splits(split_files: SplitFiles, splits: Sequence[str]) -> SplitFiles:
    missing = [split for split in splits if split not in split_files]
    if missing:
        raise ConfigurationError(f"spec.source.splits: no split {missing[0]!r}; there are {', '.join(split_files)}")
    chosen = {split: split_files[split] for split in splits} if splits else split_files
    for split in chosen:
        if not _SPLIT_NAME.fullmatch(split):
            raise ConfigurationError(
                f"spec.source.splits: {split!r} cannot be read, split names must match {_SPLIT_NAME.pattern}; "
                "list the other splits"
            )
    return chosen


def _list_some(paths: Sequence[str]) -> str:
    return f" (such as {', '.join(paths[:3])})" if paths else ""
