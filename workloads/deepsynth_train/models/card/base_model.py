"""What is known of the model that training started from: its name, its commit, and the metadata of its own card."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from huggingface_hub import ModelCard, hf_hub_download

from deepsynth_api.v1alpha1 import ModelSettings
from deepsynth_store import README
from deepsynth_store.core.uri import FolderLocation, HubLocation, ObjectLocation, parse_uri
from deepsynth_train.models.card.markdown import code

HUB: Final = "https://huggingface.co"


@dataclass(frozen=True)
class BaseModel:
    """where: for readers, in Markdown. name: OWNER/NAME on the Hub; None if it is not there.

    revision: the commit or digest that was loaded, else what the settings name. card: empty if there is none.
    is_random: there is no such model, its weights were drawn.
    """

    where: str
    name: str | None = None
    revision: str | None = None
    card: Mapping[str, Any] = field(default_factory=dict)
    is_random: bool = False


def find_base_model(settings: ModelSettings, module: Any) -> BaseModel:
    """module: the model, loaded from `settings.uri`."""
    if settings.uri.startswith("config://"):
        return BaseModel(f"random weights of {code(settings.uri)}", is_random=True)
    location = parse_uri(settings.uri, "spec.model.uri")
    if isinstance(location, FolderLocation):
        return BaseModel(code(settings.uri), card=_read_card(location, None))
    if isinstance(location, ObjectLocation):
        return BaseModel(code(settings.uri), revision=settings.revision)
    revision = getattr(module.config, "_commit_hash", None) or settings.revision
    link = f"[{location.repo_id}]({HUB}/{location.repo_id})"
    return BaseModel(link, location.repo_id, revision, _read_card(location, revision))


def _read_card(location: HubLocation | FolderLocation, revision: str | None) -> Mapping[str, Any]:
    """Metadata of the base's own card; empty when it has none, or none that can be read."""
    try:
        if isinstance(location, FolderLocation):
            path = location.path / README
        else:
            # It was fetched with the model, so there is no need to reach the Hub again.
            path = Path(hf_hub_download(location.repo_id, README, revision=revision, local_files_only=True))
        card: Any = ModelCard(path.read_text(), ignore_metadata_errors=True)
        return dict(card.data.to_dict())
    except Exception:  # noqa: BLE001 - a trained model is not lost because the card of its base cannot be read
        return {}
