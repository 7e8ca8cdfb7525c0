"""The simulator is tested with recordings of a real cluster. They are made again here, and must not have changed.

UPDATE_RECORDINGS=1 writes them, except for races, and a reviewer reads the diff. A new case starts as a file with the
Job's spec, the steps, the condition of its end, and one event per pod that says how its container should end.
"""

import os
import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from deepsynth_cluster.clusters.interface import Cluster
from deepsynth_cluster.images.archives import write_archive
from deepsynth_cluster.programs.build import program
from e2e.support.job_event_recorder import JobEventRecorder
from support.cluster.job_recordings import CASES, Recording

IMAGE = "localhost/deepsynth-probe:job-events"
LOSES_NODE = "node_lost"
RACES = {"gang"}
"""Both pods end at the same moment: which of them the Job names, and whether it still deletes the other, varies."""


@pytest.fixture(scope="module")
def namespace(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """For pods that mount a folder of their node. The image is on all nodes."""
    name = f"job-events-{secrets.token_hex(3)}"
    archive = tmp_path_factory.mktemp("images") / "probe.tar"
    write_archive(archive, IMAGE, [{"probe": program("probe").read_bytes()}], ["/probe"])
    cluster.load_image(archive)
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def recordings(cluster: Cluster, namespace: str) -> Mapping[str, Future[Recording]]:
    """All cases recorded again at once, and then the one that stops a node."""

    def record(case: str) -> Recording:
        name = case.replace("_", "-")
        return JobEventRecorder(cluster, namespace, IMAGE, name, Recording.read(case)).record()

    with ThreadPoolExecutor(len(CASES)) as pool:
        made = {case: pool.submit(record, case) for case in CASES if case != LOSES_NODE}
    if cluster.faults is not None:
        with ThreadPoolExecutor() as pool:
            made[LOSES_NODE] = pool.submit(record, LOSES_NODE)
    return made


@pytest.mark.parametrize("case", CASES)
def test_a_real_cluster_still_does_what_was_recorded(recordings: Mapping[str, Future[Recording]], case: str) -> None:
    if case not in recordings:
        pytest.skip("this cluster is not ours to break")
    fresh, recorded = recordings[case].result(), Recording.read(case)
    if os.environ.get("UPDATE_RECORDINGS") and case not in RACES:
        fresh.write(case)
        return
    ends = [dict(recording.header["end"]) for recording in (fresh, recorded)]
    for pod in recorded.pods[: 1 if case in RACES else None]:
        seen, expected = fresh.list_states(pod), recorded.list_states(pod)
        # On a busy machine a pod may start before the kubelet has reported that it waits.
        assert seen == [state for state in expected if state in seen or state.phase != "Pending"]
    if case in RACES:
        for end in ends:
            end.pop("message")
    assert ends[0] == ends[1]
