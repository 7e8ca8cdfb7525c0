"""Which characters cost documents: those that no font has, counted over all documents of a source."""

from collections import Counter
from typing import Final

from deepsynth_api.errors import InternalError
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1.dataset_generation_status import Undrawable, UndrawableCharacter, UndrawableScript
from deepsynth_render.page.fallback import check_drawable, find_undrawable
from deepsynth_render.page.scripts.properties import describe, find_script
from deepsynth_render.reporting.dropped import RefusedDocument

MAX_LISTED: Final = 10


class UndrawableTally:
    """Counts documents, not characters: one icon in a page header may cost all of them."""

    def __init__(self) -> None:
        self._documents = 0
        self._scripts: Counter[str] = Counter()
        self._characters: Counter[str] = Counter()

    def add(self, text: str) -> bool:
        """Count the document and return True if no font has one of its characters. text: normalised."""
        characters = find_undrawable(text)
        if not characters:
            return False
        self._documents += 1
        self._characters.update(characters)
        self._scripts.update(set(map(find_script, characters)))
        return True

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
    """Why the renderer would refuse a text for which `add` returned True."""
    try:
        check_drawable(text)
    except RefusedDocument as refusal:
        return refusal.reason
    raise InternalError("a text with an undrawable character was not refused")


def _find_most(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_LISTED]
