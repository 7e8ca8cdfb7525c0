"""The manifests have no field that the Kubernetes API does not have: it would be dropped without a word."""

from typing import Any

import pytest
import yaml
from kubernetes.client import V1ConfigMap, V1Job, V1Service

from support.golden_files import FOLDER

GOLDENS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
TYPES: dict[str, Any] = {"ConfigMap": V1ConfigMap, "Job": V1Job, "Service": V1Service}


@pytest.mark.parametrize("name", GOLDENS)
def test_every_field_is_known_to_the_api(name: str) -> None:
    for manifest in yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text(encoding="utf-8")):
        parsed = TYPES[manifest["kind"]].from_dict(manifest)
        assert drop_empty(parsed.model_dump(mode="json", by_alias=True, exclude_none=True)) == drop_empty(manifest)


def drop_empty(value: Any) -> Any:
    """Without empty lists and objects, which the client may leave out."""
    if isinstance(value, dict):
        kept = {key: drop_empty(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in ({}, [])}
    return [drop_empty(item) for item in value] if isinstance(value, list) else value
