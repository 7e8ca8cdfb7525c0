"""Reading the card of a source (the YAML front matter of its README.md): configurations, languages and licence."""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

_FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)\n---\s*(\n|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Config:
    """One configuration: which files belong to which split. patterns: split -> globs, in the card's order."""

    name: str
    patterns: dict[str, list[str]]
    is_default: bool = False


@dataclass(frozen=True)
class Card:
    configs: list[Config] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    license: str | None = None


def parse_card(readme: str) -> Card:
    """What the front matter says. An empty card when there is none or it is not YAML, as the Hub's own readers do."""
    match = _FRONT_MATTER.match(readme)
    try:
        content = yaml.safe_load(match.group(1)) if match else None
    except yaml.YAMLError:
        content = None
    if not isinstance(content, dict):
        return Card()
    configs = [_parse_config(entry) for entry in _as_list(content.get("configs")) if isinstance(entry, dict)]
    licenses = _as_list(content.get("license"))
    return Card(
        configs=[config for config in configs if config.patterns],
        languages=[str(language) for language in _as_list(content.get("language"))],
        license=str(licenses[0]) if len(licenses) == 1 else None,
    )


def find_language(card: Card, config: str | None) -> str:
    """The language of a configuration, empty if unknown: the card's only one, or the one that the configuration names.

    >>> find_language(Card(languages=["de", "fr"]), config="fr")
    'fr'
    """
    if config in card.languages:
        return str(config)
    return card.languages[0] if len(card.languages) == 1 else ""


def _parse_config(entry: dict[str, Any]) -> Config:
    patterns: dict[str, list[str]] = {}
    for files in _as_list(entry.get("data_files")):
        split, paths = (files.get("split", "train"), files.get("path")) if isinstance(files, dict) else ("train", files)
        patterns.setdefault(str(split), []).extend(str(path) for path in _as_list(paths))
    folder = str(entry.get("data_dir") or "").strip("/")
    if folder:
        patterns = {split: [f"{folder}/{path}" for path in paths] for split, paths in patterns.items()}
    return Config(str(entry.get("config_name", "default")), patterns, bool(entry.get("default")))


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
