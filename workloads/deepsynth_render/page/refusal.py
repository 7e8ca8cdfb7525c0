"""Why a document is not rendered."""

from deepsynth_api.reasons import Reason


class RefusedDocument(Exception):  # noqa: N818 - the document is refused; the program has no error
    """A document that would lose text on its pages. It is left out and counted, never cut.

    reason: what status.progress.dropped counts: EmptyDocument, UnsupportedScript, MissingGlyph, Overflow,
        TooManyPages.
    message: a sentence that names the character, the width or the number of pages.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    def __reduce__(self) -> tuple[object, ...]:
        """Keep both parts when the refusal crosses a process boundary."""
        return type(self), (self.reason, self.message)
