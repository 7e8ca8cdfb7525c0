import json

import pytest

from deepsynth_train.checkpoint.manifest import CheckpointManifest


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"format": 1})])
def test_json_that_is_not_a_manifest_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        CheckpointManifest.from_json(text)
