from deepsynth_api.labels import build_labels, select_carried
from deepsynth_api.v1alpha1 import DatasetGeneration


def test_only_queue_labels_are_carried_to_children() -> None:
    generation = DatasetGeneration.model_validate(
        {
            "metadata": {"name": "x", "uid": "u1", "labels": {"kueue.x-k8s.io/queue-name": "gpu", "team": "a"}},
            "spec": {"preset": "xsum", "output": {"uri": "file:///x"}},
        }
    )
    labels = build_labels(generation, "plan")
    assert labels["kueue.x-k8s.io/queue-name"] == "gpu"
    assert labels["deepsynth.io/owner-uid"] == "u1"
    assert "team" not in labels


def test_what_belongs_to_one_job_is_not_carried_from_a_resource_with_several() -> None:
    carried = {"kueue.x-k8s.io/max-exec-time-seconds": "60", "provreq.kueue.x-k8s.io/class": "a"}
    of_one_job = {
        "kueue.x-k8s.io/prebuilt-workload-name": "w",
        "kueue.x-k8s.io/job-min-parallelism": "1",
        "kueue.x-k8s.io/stopping": "true",
    }
    assert select_carried({**carried, **of_one_job, "team": "a"}) == carried
