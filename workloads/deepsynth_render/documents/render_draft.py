"""RenderDraft: what is known of a plan before rows are read.

The plan is a function of it, so a shard that is cut is final and can be rendered. Its digest names the
staging area of a plan whose shards are rendered while it is being made.
"""

import hashlib
from typing import Final

from pydantic import ValidationError

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_api.reasons import Reason
from deepsynth_render.documents.render_plan import PageInputs
from deepsynth_store import DatasetTarget

DRAFT_PATH: Final = "plan/draft.json"


class RenderDraft(PageInputs):
    """The configurations of its source have no numbers of rows yet. read_splits: of the source, in order of reading."""

    read_splits: list[str]
    holdout_percent: int

    def to_json(self) -> bytes:
        return self.model_dump_json(by_alias=True, exclude_none=True, indent=1).encode()

    def compute_digest(self) -> str:
        return hashlib.sha256(self.to_json()).hexdigest()


def load_draft(target: DatasetTarget, digest: str) -> RenderDraft:
    """The staged draft. Raises DataError if it is missing or is not what the digest was computed from."""
    if not target.list_staged(DRAFT_PATH):
        raise DataError(
            f"{target.uri} holds no staged draft {digest[:12]}; it was deleted, so delete and re-apply the resource",
            reason=Reason.PLAN_MISSING,
        )
    content = target.get(DRAFT_PATH)
    if hashlib.sha256(content).hexdigest() != digest:
        raise DataError(
            f"{DRAFT_PATH} in staging is damaged: its sha256 is not {digest}; delete and re-apply the resource"
        )
    try:
        return RenderDraft.model_validate_json(content)
    except ValidationError as error:
        raise ConfigurationError(
            f"{DRAFT_PATH} was written by another version; use the image that wrote it, or delete and re-apply the "
            "resource"
        ) from error
