"""The Hub of the tests does what other tests rely on."""

import pytest

from deepsynth_cluster.clusters.interface import Cluster
from deepsynth_demo.chart import create_restricted_namespace
from deepsynth_images.recipe import CPU
from e2e.support.hub.hub_in_cluster import Hub
from e2e.support.image_pods import run_python

NAMESPACE = "hub-clients"
UPLOAD = """
import sys
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError

api, repository = HfApi(), sys.argv[1]
api.create_repo(repository, repo_type="dataset", exist_ok=True)
file = CommitOperationAdd("data/numbers.parquet", bytes(range(256)) * 20_000)
print(api.create_commit(repository, [file], commit_message="numbers", repo_type="dataset").oid)
try:
    api.create_repo("deepsynth/other", repo_type="dataset")
except HfHubHTTPError as error:
    print(error.response.status_code)
"""
DOWNLOAD = """
import sys
from pathlib import Path
from huggingface_hub import hf_hub_download

path = hf_hub_download(sys.argv[1], "data/numbers.parquet", repo_type="dataset", revision=sys.argv[2])
print(Path(path).read_bytes() == bytes(range(256)) * 20_000)
"""


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> str:
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    create_restricted_namespace(cluster, NAMESPACE)
    return NAMESPACE


@pytest.mark.parametrize("over", ["lfs", "xet"])
def test_a_commit_survives_an_outage_and_a_token_is_valid_for_one_repository(
    over: str, cluster: Cluster, hub: Hub, namespace: str
) -> None:
    repository = f"deepsynth/numbers-{over}"
    hub.create_secret(namespace, over, repository, xet=over == "xet")
    revision, refusal = run_python(cluster, namespace, CPU, UPLOAD, repository, secret=over).split()
    assert refusal == "403"
    hub.stop()
    hub.start()
    assert run_python(cluster, namespace, CPU, DOWNLOAD, repository, revision, secret=over).strip() == "True"
