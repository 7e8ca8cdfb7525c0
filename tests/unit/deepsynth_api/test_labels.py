from deepsynth_api.labels import build_labels
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
