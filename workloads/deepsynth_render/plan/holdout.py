"""Which documents of a source with a single split become the split validation.

The choice depends on the text alone. So it is the same on any machine and with any other documents in the source, and
equal texts are on the same side.
"""

from collections.abc import Sequence
from typing import Final

from deepsynth_api.errors import ConfigurationError

HELD_OUT: Final = "validation"


def is_held_out(digest: bytes, percent: int) -> bool:
    """digest: hash_text of the normalised text."""
    return percent > 0 and int.from_bytes(digest[8:]) * 100 < percent * 2**64


def check_holdout(splits: Sequence[str], percent: int) -> None:
    """Raise ConfigurationError if the splits of the source need no holdout, or leave no name for it."""
    if percent and (len(splits) > 1 or HELD_OUT in splits):
        raise ConfigurationError(
            f"spec.source.holdoutPercent: must not be set, because the source has the splits {', '.join(splits[:10])}; "
            "remove it, or list one split other than validation in spec.source.splits"
        )
