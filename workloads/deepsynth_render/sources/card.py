"""Reading the card of a source (the YAML front matter of its README.md): configurations, languages and licence."""

import re
from dataclasses import dataclass, field
from typing import Any

_FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)\n---\s*(\n|\Z)", re.DOTALL)

_CODES = {
    "arabic": "ar",
    "bengali": "bn",
    "chinese": "zh",
    "chinese_simplified": "zh",
    "chinese_traditional": "zh",
    "english": "en",
    "french": "fr",
    "german": "de",
    "hindi": "hi",
    "indonesian": "id",
    "japanese": "ja",
    "korean": "ko",
    "persian": "fa",
    "portuguese": "pt",
    "russian": "ru",
    "spanish": "es",
    "thai": "th",
    "turkish": "tr",
    "ukrainian": "uk",
    "urdu": "ur",
    "vietnamese": "vi",
}
"""Codes of languages that configurations name in English."""

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = ("true", "True", "TRUE")


@dataclass(frozen=True)
class Config:
    """One configuration: which files belong to which split. patterns: split -> globs, in the card's order.

    folder: of all its files, if the card states it. Without patterns, its splits are found by the names of the files.
    """

    name: str
    patterns: dict[str, list[str]]
    is_default: bool = False
    folder: str = ""


@dataclass(frozen=True)
class Card:
    configs: list[Config] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    licenses: list[str] = field(default_factory=list)

    @property
    def license(self) -> str | None:
        """None if there is not exactly one."""
        return self.licenses[0] if len(self.licenses) == 1 else None


def parse_card(readme: str) -> Card:
    """What the front matter says. An empty card when there is none or it is not YAML, as the Hub's own readers do.

    Every value is text as it is written: `language: no` is Norwegian, and `split: 2024` a name.
    """
    match = _FRONT_MATTER.match(readme.removeprefix("\ufeff"))
    if not match:
        return Card()
    import yaml

    try:
        content = yaml.load(match.group(1), yaml.BaseLoader)  # noqa: S506 - it makes only text
    except (yaml.YAMLError, RecursionError):
        content = None
    if not isinstance(content, dict):
        return Card()
    configs = [_parse_config(entry) for entry in _as_list(content.get("configs")) if isinstance(entry, dict)]
    return Card(
        configs=[config for config in configs if config.patterns or config.folder],
        languages=_list_texts(content.get("language")),
        licenses=_list_texts(content.get("license")),
    )


def find_language(card: Card, config: str | None) -> str:
    """The language of a configuration, empty if unknown: the card's only one, or the one that the configuration names.

    By its code or in English.

    >>> find_language(Card(languages=["de", "fr"]), config="fr")
    'fr'
    >>> find_language(Card(languages=["bn", "tr"]), config="turkish")
    'tr'
    """
    for code in (config, _CODES.get(config or "")):
        if code in card.languages:
            return str(code)
    return card.languages[0] if len(card.languages) == 1 else ""


def _parse_config(entry: dict[str, Any]) -> Config:
    patterns: dict[str, list[str]] = {}
    for files in _as_list(entry.get("data_files")):
        split, paths = (files.get("split", "train"), files.get("path")) if isinstance(files, dict) else ("train", files)
        if isinstance(split, str) and (found := _list_texts(paths)):
            patterns.setdefault(split, []).extend(found)
    folder = "".join(_list_texts(entry.get("data_dir"))).strip("/")
    if folder:
        patterns = {split: [f"{folder}/{path}" for path in paths] for split, paths in patterns.items()}
    name = "".join(_list_texts(entry.get("config_name"))) or "default"
    return Config(name, patterns, is_default=entry.get("default") in _TRUE, folder=folder)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _list_texts(value: Any) -> list[str]:
    """The texts of a list or a single text, without nulls and without anything nested."""
    return [text for text in _as_list(value) if isinstance(text, str) and text not in _NULL]
