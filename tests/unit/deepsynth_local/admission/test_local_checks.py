from pathlib import Path

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_local.admission.local_checks import check_disk, check_gpus
from support.resources.builders import a_training_run


def test_too_little_free_disk_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="free some space or choose another folder with --runs"):
        check_disk(tmp_path, needed=10**18)
    check_disk(tmp_path, needed=1)


def test_a_run_must_not_ask_for_more_gpus_than_the_machine_has() -> None:
    run = a_training_run().with_spec(numNodes=2, resourcesPerNode={"limits": {"nvidia.com/gpu": 4}}).to_manifest()

    check_gpus(run, available=8)
    with pytest.raises(ConfigurationError, match="ask for 8 GPUs, but this machine has 4; lower numNodes or the limit"):
        check_gpus(run, available=4)
