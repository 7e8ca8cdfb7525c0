"""Which files of a source are read for which split. Pure: paths and a card in, paths out.

Tried in this order, first match wins:
  the card            configs: [{config_name: main, data_files: [{split: train, path: "data/train-*"}]}]
  the Hub's Parquet   main/train/0000.parquet, or main/news-train.parquet next to other/news-train.parquet
  the file names      train.jsonl, data/validation-00000.parquet, my_test.csv
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from deepsynth_api.counted import counted
from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1.settings.rendering_settings import ALL_CONFIGS
from deepsynth_render.sources.card import Config
from deepsynth_render.sources.formats.suffixes import FORMATS, SUPPORTED, find_format
from deepsynth_store import README

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
_CONVERTED_EARLY = re.compile(
    r"(?P<config>[^/]+)/(?P<name>[^/]+)-(?P<split>train|validation|test)(-\d{5}-of-\d{5})?\.parquet"
)
"""CONFIG/DATASET-SPLIT.parquet or CONFIG/DATASET-SPLIT-00000-of-00002.parquet."""
_MAX_NAMED: Final = 100
"""Configurations or splits that a message lists."""
_SPLIT_NAME = re.compile(r"\w+(\.\w+)*")
_MAX_SPLIT_BYTES: Final = 128
"""Of the name of a split, which begins the names of files: file systems allow 255 bytes."""
_ALL: Final = "all"
"""What the library `datasets` calls all splits together: it opens no dataset with a split of this name."""

SplitFiles = Mapping[str, Sequence[str]]
"""Split -> paths in reading order."""


@dataclass(frozen=True)
class FileSelection:
    """configs: what is read, by configuration and split. skipped: all other files of the source, with the reason."""

    configs: Mapping[str, SplitFiles]
    skipped: Mapping[str, Reason]

    @property
    def files(self) -> SplitFiles:
        """Of all configurations, by split."""
        splits = dict.fromkeys(split for split_files in self.configs.values() for split in split_files)
        return {
            split: [path for split_files in self.configs.values() for path in split_files.get(split, ())]
            for split in splits
        }


def select_files(
    paths: Sequence[str],
    configs: Sequence[Config],
    config: str | None,
    splits: Sequence[str],
    *,
    several: Sequence[str] = (),
) -> FileSelection:
    """The files of the splits that the user asks for.

    configs: from the card. config: None for the default one. several: of spec.source.configs, instead of `config`.
    splits: empty for all. Raises ConfigurationError that lists what there is to choose from, DataError when the source
    has no file of a known format.
    """
    known = find_configs(paths, configs)
    if not known:
        raise DataError(_explain_nothing(paths, configs))
    names = _choose_configs(known, several) if several else [_choose_config(known, configs, config)]
    _require_files(paths, [entry for entry in configs if entry.name in names], splits)
    chosen = _choose_splits({name: known[name] for name in names}, splits)
    selected = _take_once(
        {
            name: {split: _readable(found) for split, found in split_files.items()}
            for name, split_files in chosen.items()
        }
    )
    return FileSelection(selected, _explain_skipped(paths, known, selected, has_card=bool(configs)))


def find_configs(paths: Sequence[str], configs: Sequence[Config]) -> dict[str, SplitFiles]:
    """Configuration -> its files of known formats by split; see the top of this file."""
    if stated := {entry.name: _match_patterns(paths, entry) for entry in configs}:
        return {name: split_files for name, split_files in stated.items() if split_files}
    return _find_converted(paths) or _find_by_name(paths)


def _explain_nothing(paths: Sequence[str], configs: Sequence[Config]) -> str:
    if configs and any(map(find_format, paths)):
        patterns = [pattern for entry in configs for found in entry.patterns.values() for pattern in found]
        return (
            f"spec.source.uri: no file matches the configurations of its README.md ({', '.join(patterns[:3])}); fix "
            "the patterns, or remove them to have the files found by their names"
        )
    return (
        f"spec.source.uri: no {SUPPORTED} file among its {counted(len(paths), 'file')}{_list_some(paths)}; "
        "convert the data to one of these formats"
    )


def _match_patterns(paths: Sequence[str], config: Config) -> SplitFiles:
    if not config.patterns:  # a card may name only the folder of a configuration
        return _find_by_name([path for path in paths if path.startswith(f"{config.folder}/")]).get("default", {})
    matched = {
        split: [path for path in paths if find_format(path) and any(_matches(path, pattern) for pattern in patterns)]
        for split, patterns in config.patterns.items()
    }
    return {split: found for split, found in matched.items() if found}


def _require_files(paths: Sequence[str], configs: Sequence[Config], splits: Sequence[str]) -> None:
    """A file that the card names and that is not there would be missing without a word."""
    for entry in configs:
        for split, patterns in entry.patterns.items():
            for pattern in patterns if not splits or split in splits else ():
                if not any(_matches(path, pattern) for path in paths):
                    raise DataError(
                        f"spec.source.uri: no file matches {pattern!r}, which the README.md names for the split "
                        f"{split!r}; add the file, fix the README.md, or list the other splits in spec.source.splits"
                    )


def _matches(path: str, pattern: str) -> bool:
    """As on the Hub: a star matches within a folder, a double star any number of folders. A pattern may name a folder.

    `data/*.csv` matches `data/a.csv`, `**/*.csv` also `a.csv`, and `data` all of its files.
    """
    pattern = pattern.removeprefix("./").rstrip("/")
    names = path.split("/")
    count = len(names)
    reached = {0}  # how many of the names the parts so far may match
    for part in pattern.split("/"):
        fewest, most = (0 if part == "**" else 1), (count if "**" in part else 1)
        spans = [(start, stop) for start in reached for stop in range(start + fewest, min(start + most, count) + 1)]
        reached = {stop for start, stop in spans if fnmatchcase("/".join(names[start:stop]), part)}
    return count in reached or path.startswith(f"{pattern}/")


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
    return dict(found) or _find_converted_early(paths)


def _find_converted_early(paths: Sequence[str]) -> dict[str, SplitFiles]:
    """The Hub's conversions of before 2024, which all begin with the name of the dataset. Only if there are several
    configurations: a folder with such names may be anything.
    """
    matches = [match for path in paths if (match := _CONVERTED_EARLY.fullmatch(path))]
    configs = {match["config"] for match in matches}
    if len(configs) < 2 or len({match["name"] for match in matches}) > 1:
        return {}
    found: dict[str, dict[str, list[str]]] = {config: {} for config in sorted(configs)}
    for match in matches:
        found[match["config"]].setdefault(match["split"], []).append(match.string)
    return dict(found)


def _find_by_name(paths: Sequence[str]) -> dict[str, SplitFiles]:
    split_files: dict[str, list[str]] = {}
    formats = {path: known for path in paths if (known := find_format(path))}
    is_stated = any(find_keyword(path) for path in formats)
    for path, known in formats.items():
        split = find_keyword(path)
        if split or not (is_stated and known.name == "json"):  # settings are often JSON next to the data
            split_files.setdefault(split or "train", []).append(path)
    return {"default": split_files} if split_files else {}


def _readable(paths: Sequence[str]) -> list[str]:
    """Files of one format, the first that is found: a split that is stored in two formats is read once."""
    by_format: dict[str, list[str]] = {}
    packed = set(FORMATS)
    plain = {*paths}
    for path in paths:
        found = find_format(path)
        if found and not (found.compression and path.rpartition(".")[0] in plain):  # the same file, compressed
            by_format.setdefault(found.name, []).append(path)
            if not found.compression:
                packed.discard(found.name)
    ranked = sorted(by_format, key=lambda name: (name in packed, FORMATS.index(name)))
    return by_format[ranked[0]] if ranked else []


def _take_once(selected: Mapping[str, SplitFiles]) -> dict[str, SplitFiles]:
    """Without the files that an earlier configuration has for the same split."""
    taken: set[tuple[str, str]] = set()
    once: dict[str, SplitFiles] = {}
    for name, split_files in selected.items():
        once[name] = {
            split: [path for path in found if (split, path) not in taken] for split, found in split_files.items()
        }
        taken |= {(split, path) for split, found in split_files.items() for path in found}
    return once


def _explain_skipped(
    paths: Sequence[str], known: Mapping[str, SplitFiles], selected: Mapping[str, SplitFiles], *, has_card: bool
) -> dict[str, Reason]:
    """Why each file that is not read is not. The card itself is read."""
    read = {path for split_files in selected.values() for found in split_files.values() for path in found}
    in_config: dict[str, bool] = {}  # path -> whether its split is read
    for name, split_files in selected.items():
        for split, found in known[name].items():
            in_config |= dict.fromkeys(found, split in split_files)
    elsewhere = {path for split_files in known.values() for found in split_files.values() for path in found}
    skipped: dict[str, Reason] = {}
    for path in paths:
        if path in read or path == README:
            continue
        if not find_format(path):
            skipped[path] = Reason.UNKNOWN_FORMAT
        elif path in in_config:
            skipped[path] = Reason.OTHER_FORMAT if in_config[path] else Reason.OTHER_SPLIT
        elif path in elsewhere:
            skipped[path] = Reason.OTHER_CONFIGURATION
        else:
            skipped[path] = Reason.NOT_IN_CARD if has_card else Reason.NO_SPLIT
    return skipped


def guess_split(path: str) -> str:
    """train, validation or test, by the last word in the path that means one of them; train if none does.

    >>> guess_split("train-set/my_dev.csv"), guess_split("articles.csv")
    ('validation', 'train')
    """
    return find_keyword(path) or "train"


def find_keyword(path: str) -> str | None:
    """The split that a path names; None if it names none.

    >>> find_keyword("testData.csv"), find_keyword("dev_set.csv"), find_keyword("contest.csv")
    ('test', 'validation', None)
    """
    words = re.split(r"[^A-Za-z]+|(?<=[a-z])(?=[A-Z])", path.rpartition(".")[0])
    names = [word.lower().removesuffix("set") for word in reversed(words)]
    return next((_KEYWORDS[name] for name in names if name in _KEYWORDS), None)


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


def _choose_configs(known: Mapping[str, SplitFiles], several: Sequence[str]) -> list[str]:
    """The configurations of spec.source.configs, in reading order."""
    if list(several) == [ALL_CONFIGS]:
        for name in known:
            _require_utf8(name)
        return list(known)
    if unknown := [name for name in several if name not in known]:
        raise ConfigurationError(
            f"spec.source.configs: no configuration {unknown[0]!r}; the source has {_list_names(known)}"
        )
    return list(several)


def _require_utf8(config: str) -> None:
    """Plans and datasets name the configurations they are made from. YAML can hold lone surrogates."""
    try:
        config.encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError(
            f"spec.source.configs: the name of the configuration {config!a} is not UTF-8; list the others"
        ) from error


def _choose_splits(chosen: Mapping[str, SplitFiles], splits: Sequence[str]) -> Mapping[str, SplitFiles]:
    """The splits to read of each configuration that is read: those it has of `splits`, or all of them."""
    known = dict.fromkeys(split for split_files in chosen.values() for split in split_files)
    missing = [split for split in splits if split not in known]
    if missing:
        raise ConfigurationError(f"spec.source.splits: no split {missing[0]!r}; there are {_list_names(known)}")
    _check_names(splits or list(known))
    if not splits:
        _require_common(chosen)
        return chosen
    for name, split_files in chosen.items():
        if not split_files.keys() & set(splits):
            raise ConfigurationError(
                f"spec.source.splits: the configuration {name!r} has none of them, but {_list_names(split_files)}; "
                "list one of these too, or list the other configurations in spec.source.configs"
            )
    return {
        name: {split: split_files[split] for split in splits if split in split_files}
        for name, split_files in chosen.items()
    }


def _require_common(chosen: Mapping[str, SplitFiles]) -> None:
    """Configurations without a common split, such as questions and answers, are seldom meant to be one dataset."""
    if set.intersection(*(set(split_files) for split_files in chosen.values())):
        return
    found = "; ".join(f"{name}: {_list_names(split_files)}" for name, split_files in list(chosen.items())[:_MAX_NAMED])
    raise ConfigurationError(
        f"spec.source.configs: the configurations have no split in common ({found}); list the splits to read in "
        "spec.source.splits, or fewer configurations"
    )


def _list_names(names: Iterable[str]) -> str:
    """The first of them, and how many more there are."""
    every = list(names)
    rest = f" and {len(every) - _MAX_NAMED} more" if len(every) > _MAX_NAMED else ""
    return ", ".join(every[:_MAX_NAMED]) + rest


def _check_names(splits: Iterable[str]) -> None:
    for split in splits:
        if not _SPLIT_NAME.fullmatch(split) or split == _ALL or len(split.encode()) > _MAX_SPLIT_BYTES:
            raise ConfigurationError(
                f"spec.source.splits: {split[:_MAX_SPLIT_BYTES]!r} cannot be read, split names must match "
                f"{_SPLIT_NAME.pattern}, have at most {_MAX_SPLIT_BYTES} bytes and not be {_ALL!r}; list the other "
                "splits, or rename it in the source"
            )


def _list_some(paths: Sequence[str]) -> str:
    return f" (such as {', '.join(paths[:3])})" if paths else ""
