"""Which characters cost documents: those that no font has, counted over all documents of a source."""

from collections import Counter
from collections.abc import Collection
from typing import Final

from deepsynth_api.errors import InternalError
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1.dataset_generation_status import Undrawable, UndrawableCharacter, UndrawableScript
from deepsynth_render.page.fallback import check_drawable
from deepsynth_render.page.scripts.properties import describe, find_script
from deepsynth_render.reporting.dropped import RefusedDocument

MAX_LISTED: Final = 10


class UndrawableTally:
    """Counts documents, not characters: one icon in a page header may cost all of them."""

    def __init__(self) -> None:
        self._documents = 0
        self._scripts: Counter[str] = Counter()
        self._characters: Counter[str] = Counter()

    def add(self, characters: Collection[str]) -> None:
        """Count a document. characters: those that no font has, each once."""
        if characters:
            self._documents += 1
            self._characters.update(characters)
            self._scripts.update(set(map(find_script, characters)))

    def summarise(self) -> Undrawable | None:
        """None if all characters are drawn."""
        if not self._documents:
            return None
        return Undrawable(
            documents=self._documents,
            scripts=[UndrawableScript(script=name, documents=count) for name, count in _find_most(self._scripts)],
            characters=[
                UndrawableCharacter(character=describe(character), documents=count)
                for character, count in _find_most(self._characters)
            ],
        )


def find_refusal(text: str) -> Reason:
    """Why the renderer would refuse a text with characters that no font has."""
    try:
        check_drawable(text)
    except RefusedDocument as refusal:
        return refusal.reason
    raise InternalError("a text with an undrawable character was not refused")


def _find_most(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_LISTED]
