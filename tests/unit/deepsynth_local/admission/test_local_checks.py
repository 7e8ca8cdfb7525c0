from pathlib import Path

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_local.admission.local_checks import check_disk, check_folders, check_gpus
from support.resources.builders import a_dataset_generation, a_training_run


def test_too_little_free_disk_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="free some space or choose another folder with --runs"):
        check_disk(tmp_path, needed=10**18)
    check_disk(tmp_path, needed=1)


def test_a_run_must_not_ask_for_more_gpus_than_the_machine_has() -> None:
    run = a_training_run().with_spec(numNodes=2, resourcesPerNode={"limits": {"nvidia.com/gpu": 4}}).to_manifest()

    check_gpus(run, available=8)
    with pytest.raises(ConfigurationError, match="ask for 8 GPUs, but this machine has 4; lower numNodes or the limit"):
        check_gpus(run, available=4)


def test_a_folder_that_does_not_exist_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "my-pages").mkdir()
    datasets = [{"name": "pages", "uri": f"file://{tmp_path}/my-page"}]
    run = a_training_run().with_spec(datasets=datasets, model={"uri": f"file://{tmp_path}/model"}).to_manifest()
    with pytest.raises(ConfigurationError) as caught:
        check_folders([run])
    model, dataset = caught.value.message.splitlines()
    assert model.endswith(f"spec.model.uri: no folder {tmp_path}/model; correct the path")
    assert (
        f"spec.datasets[pages].uri: no folder {tmp_path}/my-page; did you mean file://{tmp_path}/my-pages?" in dataset
    )
    (tmp_path / "my-pages").rename(tmp_path / "my-page")
    (tmp_path / "model").mkdir()
    check_folders([run])


def test_a_source_that_does_not_exist_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "articles.csv").write_text("text,summary\n")
    source = {"uri": f"file://{tmp_path}/article.csv"}
    generation = a_dataset_generation().with_spec(source=source).to_manifest()
    message = rf"spec.source.uri: no file or folder .*/article.csv; did you mean file://{tmp_path}/articles.csv\?"
    with pytest.raises(ConfigurationError, match=message):
        check_folders([generation])
    (tmp_path / "articles.csv").rename(tmp_path / "article.csv")
    check_folders([generation])


def test_a_folder_that_another_resource_writes_need_not_exist(tmp_path: Path) -> None:
    first = a_training_run().with_spec(checkpoint={"uri": f"file://{tmp_path}/first"}).to_manifest()
    second = a_training_run().with_spec(model={"uri": f"file://{tmp_path}/first/model"}).to_manifest()
    with pytest.raises(ConfigurationError, match="no folder"):
        check_folders([second])
    check_folders([first, second])


def test_a_finished_run_may_have_lost_its_folders(tmp_path: Path) -> None:
    run = a_training_run().with_spec(model={"uri": f"file://{tmp_path}/gone"}).to_manifest()
    run["status"] = {"completionTime": "2026-01-02T03:04:05Z"}
    check_folders([run])
