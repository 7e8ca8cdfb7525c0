"""Addresses of resources, relative to the first page: runs/NAMESPACE/NAME, generations/NAMESPACE/NAME."""

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import quote

from deepsynth_client.errors import InvalidError
from deepsynth_client.interface import Manifest

WORDS: Final[Mapping[str, str]] = {"TrainingRun": "runs", "DatasetGeneration": "generations"}
KINDS_BY_WORD: Final[Mapping[str, str]] = {word: kind for kind, word in WORDS.items()}
DEFAULT_NAMESPACE: Final = "default"


class Key(NamedTuple):
    """Which resource."""

    kind: str
    namespace: str
    name: str

    @property
    def path(self) -> str:
        return f"{WORDS[self.kind]}/{quote(self.namespace, safe='')}/{quote(self.name, safe='')}"

    @property
    def short(self) -> str:
        """As parameters name it: NAMESPACE/NAME."""
        return f"{self.namespace}/{self.name}"


def get_key(resource: Manifest) -> Key:
    metadata = resource["metadata"]
    return Key(resource["kind"], metadata.get("namespace") or DEFAULT_NAMESPACE, metadata["name"])


def parse_short(kind: str, text: str) -> Key:
    """NAMESPACE/NAME or NAME. Raises InvalidError."""
    namespace, slash, name = text.rpartition("/")
    if not name or (slash and not namespace) or "/" in namespace:
        raise InvalidError(f"{text!r} must be NAMESPACE/NAME or NAME")
    return Key(kind, namespace or DEFAULT_NAMESPACE, name)


def parse_path(text: str) -> Key:
    """runs/NAMESPACE/NAME. Raises InvalidError."""
    word, _, rest = text.partition("/")
    if word not in KINDS_BY_WORD:
        raise InvalidError(f"{text!r} must begin with {' or '.join(KINDS_BY_WORD)}")
    return parse_short(KINDS_BY_WORD[word], rest)


def build_root(path: str) -> str:
    """From a page to the first one, as a relative address, so that pages work below any prefix of a proxy.

    / -> ./     /compare -> ./     /runs/team/first -> ../../
    """
    return "../" * (path.count("/") - 1) or "./"
