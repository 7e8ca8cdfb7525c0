"""Every field of the manifests exists in the Kubernetes API, which would silently drop an unknown one."""

from typing import Any

import pytest
import yaml

from support.golden_files import FOLDER

GOLDENS = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("name", GOLDENS)
def test_every_field_is_known_to_the_api(name: str) -> None:
    from kubernetes import client  # 0.3 s of imports

    for manifest in yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text(encoding="utf-8")):
        if manifest["kind"] == "PodGroup":
            continue  # most of them are CRDs
        parsed = getattr(client, f"V1{manifest['kind']}").from_dict(manifest)
        assert drop_empty(parsed.model_dump(mode="json", by_alias=True, exclude_none=True)) == drop_empty(manifest)


def drop_empty(value: Any) -> Any:
    """Without empty lists and objects, which the client may omit."""
    if isinstance(value, dict):
        kept = {key: drop_empty(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in ({}, [])}
    return [drop_empty(item) for item in value] if isinstance(value, list) else value
