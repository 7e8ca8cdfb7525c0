"""The samples that were chosen of all datasets of a run, and the same as bytes.

To choose them takes a core 1.5 ms for a page of text, so an hour for millions of pages. Other nodes, later attempts and
other runs read the bytes in its place.

    key (32 bytes)  sha256 of the body (32 bytes)  body: arrays as numpy's .npz, whose `document` is JSON
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deepsynth_train.coordination.progress import DroppedSamples
from deepsynth_train.data.selection.index import SampleIndex

_ARRAYS: Final = ("steps", "pages", "tokens", "sizes")
"""steps: from the first row of a sample to that of the next one. They compress well, unlike `SampleIndex.first`."""
_DOCUMENT: Final = "document"
_DIGEST_BYTES: Final = 32


@dataclass(frozen=True)
class ChosenSplit:
    """What is trained on, or what is evaluated.

    index: over all its datasets, one after the other. rows: pages of each of them, by its name. splits: which of its
    splits they are.
    """

    index: SampleIndex
    rows: Mapping[str, int]
    splits: Mapping[str, str]


@dataclass(frozen=True)
class ChosenSamples:
    """validation: None if there is nothing to evaluate on. notes: for users. log: lines that name dropped documents."""

    train: ChosenSplit
    validation: ChosenSplit | None
    notes: Sequence[str] = ()
    log: Sequence[str] = ()

    def encode(self, key: str) -> bytes:
        """key: 64 hexadecimal digits; see `compute_key`."""
        splits = {"train": self.train, **({"validation": self.validation} if self.validation else {})}
        document = {
            "notes": [*self.notes],
            "log": [*self.log],
            "splits": {name: _describe(split) for name, split in splits.items()},
        }
        arrays = {
            f"{name}.{field}": array
            for name, split in splits.items()
            for field, array in zip(_ARRAYS, _list_arrays(split.index), strict=True)
        }
        body = io.BytesIO()
        text = np.frombuffer(json.dumps(document).encode(), dtype=np.uint8)
        np.savez_compressed(body, allow_pickle=False, **{**arrays, _DOCUMENT: text})
        content = body.getvalue()
        return bytes.fromhex(key) + hashlib.sha256(content).digest() + content

    @classmethod
    def decode(cls, content: bytes, key: str | None = None) -> "ChosenSamples":
        """key: None for any. Raises ValueError for bytes of another key, and for damaged ones."""
        if key is not None and content[:_DIGEST_BYTES] != bytes.fromhex(key):
            raise ValueError("they are of other data or settings")
        digest, body = content[_DIGEST_BYTES : 2 * _DIGEST_BYTES], content[2 * _DIGEST_BYTES :]
        if digest != hashlib.sha256(body).digest():
            raise ValueError("they are damaged")
        try:
            with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
                document = json.loads(arrays[_DOCUMENT].tobytes())
                found = {name: _build(arrays, name, each) for name, each in document["splits"].items()}
            return cls(found["train"], found.get("validation"), document["notes"], document["log"])
        except (KeyError, TypeError, AttributeError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"they cannot be parsed ({error!r})") from error


def _describe(split: ChosenSplit) -> dict[str, Any]:
    return {
        "rows": dict(split.rows),
        "splits": dict(split.splits),
        "seen": split.index.seen,
        "dropped": {drop.reason: drop.samples for drop in split.index.dropped},
    }


def _list_arrays(index: SampleIndex) -> list[NDArray[Any]]:
    arrays = [np.diff(index.first, prepend=0), index.pages, index.tokens, index.sizes]
    return [array.astype(np.min_scalar_type(array.max(initial=0))) for array in arrays]


def _build(arrays: Mapping[str, NDArray[Any]], name: str, document: Mapping[str, Any]) -> ChosenSplit:
    steps, pages, tokens, sizes = (arrays[f"{name}.{field}"].astype(np.int64) for field in _ARRAYS)
    dropped = tuple(DroppedSamples(reason, count) for reason, count in document["dropped"].items())
    index = SampleIndex(np.cumsum(steps), pages, tokens, sizes, dropped, document["seen"])
    return ChosenSplit(index, document["rows"], document["splits"])
