"""What is known of a row by itself, without the rows before it. Pure, so several processes may share the work."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Filters
from deepsynth_render.page.fallback import find_undrawable
from deepsynth_render.plan.deduplicate import hash_text
from deepsynth_render.plan.filters import Pair, apply_filters
from deepsynth_render.plan.undrawable import find_refusal
from deepsynth_render.sources import Row


class AskedRow(NamedTuple):
    """is_wanted: whether the plan needs the normalised texts, and not only what they are like."""

    row: Row
    is_wanted: bool


class Examined(NamedTuple):
    """dropped: why the row is no document by itself; nothing else is known then.

    digest: hash_text of the normalised text. undrawable: its characters that no font draws. refusal: why it would be
    refused for them. pair: None if it was not wanted.
    """

    dropped: Reason | None = None
    digest: bytes = b""
    undrawable: frozenset[str] = frozenset()
    refusal: Reason | None = None
    pair: Pair | None = None


@dataclass(frozen=True)
class Examiner:
    """collapse: runs of blanks, as spec.page.whitespace says. keep_tabs: for tab stops."""

    filters: Filters
    collapse: bool
    keep_tabs: bool

    def __call__(self, rows: Sequence[AskedRow]) -> list[Examined]:
        return [self._examine(row, is_wanted=is_wanted) for row, is_wanted in rows]

    def _examine(self, row: Row, *, is_wanted: bool) -> Examined:
        pair = apply_filters(row, self.filters, collapse=self.collapse, keep_tabs=self.keep_tabs)
        if not isinstance(pair, Pair):
            return Examined(dropped=pair)
        undrawable = frozenset(find_undrawable(pair.text))
        refusal = find_refusal(pair.text) if undrawable else None
        return Examined(None, hash_text(pair.text), undrawable, refusal, pair if is_wanted else None)
