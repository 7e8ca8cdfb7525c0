"""An attempt's document, Job and pods, and the specs that cannot become a pod."""

from typing import Any

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import Attempt, TrainingRun
from deepsynth_api.workload import FeatureCache, InputCache, TrainWorkload
from deepsynth_operator.manifests.train_job import build_train_children, build_train_document
from support.resources.builders import ResourceBuilder, a_training_run

PINNED = {"name": "pages", "uri": "pvc://data/pages"}


def a_run(**spec: Any) -> ResourceBuilder[TrainingRun]:
    return a_training_run().with_spec(**spec).with_status(datasets=[PINNED])


def an_attempt(number: int = 1) -> Attempt:
    document = {"number": number, "startTime": "2026-01-02T03:04:05Z", "job": "read-xsum-train-1", "image": "gpu"}
    return Attempt.model_validate(document)


def build_document(builder: ResourceBuilder[TrainingRun], number: int = 1) -> TrainWorkload:
    return build_train_document(builder.build(), an_attempt(number))


def build_job(builder: ResourceBuilder[TrainingRun]) -> Any:
    return build_train_children(builder.build(), an_attempt())[-1]


def build_container(builder: ResourceBuilder[TrainingRun]) -> Any:
    return build_job(builder)["spec"]["template"]["spec"]["containers"][0]


def test_the_document_survives_the_config_map_unchanged() -> None:
    run = a_run(evaluation={"metrics": ["loss", "rouge"]}).build()
    config_map = build_train_children(run, an_attempt())[0]
    assert TrainWorkload.parse(config_map["data"]["workload.json"]) == build_train_document(run, an_attempt())


@pytest.mark.parametrize(
    ("spec", "processes"),
    [
        ({}, 1),
        ({"resourcesPerNode": {"limits": {"nvidia.com/gpu": 8}}}, 8),
        ({"resourcesPerNode": {"limits": {"nvidia.com/gpu": "4"}}}, 4),
        ({"resourcesPerNode": {"limits": {"nvidia.com/gpu": 2, "rdma/hca": 8}}}, 2),
        ({"resourcesPerNode": {"limits": {"nvidia.com/gpu": 8}}, "numProcPerNode": 2}, 2),
    ],
)
def test_processes_per_node_default_to_its_gpus(spec: dict[str, Any], processes: int) -> None:
    assert build_document(a_run(**spec)).num_proc_per_node == processes


@pytest.mark.parametrize("quantity", ["500m", "many"])
def test_a_fraction_of_a_gpu_is_an_error_that_names_the_field(quantity: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^spec\.resourcesPerNode\.limits\[nvidia\.com/gpu\]: "):
        build_document(a_run(resourcesPerNode={"limits": {"nvidia.com/gpu": quantity}}))


def test_a_cache_size_that_is_not_a_quantity_is_an_error_that_names_the_field() -> None:
    with pytest.raises(ConfigurationError, match=r"^spec\.cache\.sizeLimit: "):
        build_document(a_run(cache={"sizeLimit": "a lot"}))


def test_the_cache_has_the_same_size_in_the_document_and_on_the_node() -> None:
    assert build_document(a_run(cache={"sizeLimit": "1.5Gi"})).cache_bytes == 3 * 2**29


def test_features_in_the_node_local_cache_make_its_volume_larger() -> None:
    run = a_run(cache={"sizeLimit": "1Gi", "features": {"sizeLimit": "512Mi"}})
    assert build_document(run).feature_cache == FeatureCache(size_bytes=2**29)
    assert read_cache_volume(run)["sizeLimit"] == str(3 * 2**29)


def test_features_on_a_claim_are_mounted_for_writing_and_leave_the_cache_as_it_is() -> None:
    run = a_run(cache={"sizeLimit": "1Gi", "features": {"uri": "pvc://shared/features"}})
    assert build_document(run).feature_cache == FeatureCache(uri="pvc://shared/features", size_bytes=20 * 2**30)
    assert read_cache_volume(run)["sizeLimit"] == "1Gi"
    mount = {"name": "claim-shared", "mountPath": "/mnt/volumes/shared"}
    assert mount in build_container(run)["volumeMounts"], "not read-only"


def test_a_cache_on_a_claim_is_mounted_for_writing_and_the_node_has_room_for_what_does_not_fit() -> None:
    run = a_run(cache={"uri": "pvc://shared/inputs", "sizeLimit": "1Gi"})
    assert build_document(run).input_cache == InputCache(uri="pvc://shared/inputs", size_bytes=2**30)
    assert read_cache_volume(run)["sizeLimit"] == "1Gi"
    assert {"name": "claim-shared", "mountPath": "/mnt/volumes/shared"} in build_container(run)["volumeMounts"]


def test_only_a_run_that_streams_says_so_to_its_pods() -> None:
    assert build_document(a_run(cache={"stream": True})).stream is True
    assert "stream" not in build_document(a_run()).to_json()


def test_a_run_with_everything_in_a_bucket_needs_no_volume_and_has_the_keys_of_its_secrets() -> None:
    tracking = [{"tensorboard": {"uri": "s3://runs/events", "secretRef": {"name": "events"}}}]
    run = (
        a_training_run()
        .with_spec(checkpoint={"uri": "s3://runs/a/", "secretRef": {"name": "bucket"}}, tracking=tracking)
        .with_status(datasets=[{"name": "pages", "uri": "s3://pages/a"}])
    )
    container = build_container(run)
    assert [mount for mount in container["volumeMounts"] if mount["name"].startswith("claim-")] == []
    assert container["envFrom"] == [{"secretRef": {"name": "bucket"}}, {"secretRef": {"name": "events"}}]
    assert build_document(run).output_uri == "s3://runs/a/model"


def test_a_feature_size_that_is_not_a_quantity_is_an_error_that_names_the_field() -> None:
    with pytest.raises(ConfigurationError, match=r"^spec\.cache\.features\.sizeLimit: "):
        build_document(a_run(cache={"features": {"sizeLimit": "a lot"}}))


def test_network_devices_are_limits_next_to_gpus() -> None:
    limits = {"nvidia.com/gpu": "2", "rdma/hca_shared_devices_a": "1"}
    assert build_container(a_run(resourcesPerNode={"limits": limits}))["resources"] == {"limits": limits}


def test_the_container_names_all_claims_and_the_pod_says_where_they_come_from() -> None:
    claims = [
        {"name": "gpus", "resourceClaimTemplateName": "eight-gpus"},
        {"name": "network", "resourceClaimName": "shared"},
    ]
    run = a_run(resourcesPerNode={"limits": {"memory": "8Gi"}}).with_template(resourceClaims=claims)
    assert build_job(run)["spec"]["template"]["spec"]["resourceClaims"] == claims
    assert build_container(run)["resources"] == {
        "limits": {"memory": "8Gi"},
        "claims": [{"name": "gpus"}, {"name": "network"}],
    }


def test_the_pods_of_the_job_itself_are_spread_unless_others_are_selected() -> None:
    spread = {"topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 1}
    other = {**spread, "topologyKey": "rack", "labelSelector": {"matchLabels": {"team": "vision"}}}
    run = a_run().with_template(topologySpreadConstraints=[spread, other])
    own = {"matchLabels": {"batch.kubernetes.io/job-name": "read-xsum-train-1"}}
    assert build_job(run)["spec"]["template"]["spec"]["topologySpreadConstraints"] == [
        {**spread, "labelSelector": own},
        other,
    ]


def read_cache_volume(run: ResourceBuilder[TrainingRun]) -> dict[str, Any]:
    volumes = build_job(run)["spec"]["template"]["spec"]["volumes"]
    found: dict[str, Any] = next(volume["emptyDir"] for volume in volumes if volume["name"] == "cache")
    return found


def test_other_nodes_attempts_and_uids_may_share_checkpoints() -> None:
    reference = build_document(a_run()).fingerprint
    assert build_document(a_run(), number=2).fingerprint == reference
    assert build_document(a_run(numNodes=4, numProcPerNode=2)).fingerprint == reference
    assert build_document(a_run().named("other", uid="other")).fingerprint == reference


@pytest.mark.parametrize(
    "spec", [{"seed": 1}, {"model": {"uri": "config://vit-gpt2-tiny"}}, {"globalBatchSize": 64}, {"epochs": 2}]
)
def test_another_training_may_not_share_checkpoints(spec: dict[str, Any]) -> None:
    assert build_document(a_run(**spec)).fingerprint != build_document(a_run()).fingerprint


def test_another_revision_of_a_dataset_may_not_share_checkpoints() -> None:
    branch = {"name": "pages", "uri": "pvc://data/pages", "revision": "next"}
    assert build_document(a_run(datasets=[branch])).fingerprint != build_document(a_run()).fingerprint
    rendered = a_run(datasets=[{"name": "pages", "datasetGenerationRef": {"name": "pages"}}])
    moved = rendered.with_status(datasets=[{**PINNED, "revision": "c0ffee"}])
    assert build_document(moved).fingerprint != build_document(rendered).fingerprint


def test_the_resolved_commit_of_a_branch_is_in_the_document_but_not_in_the_fingerprint() -> None:
    resolved = build_document(a_run().with_status(datasets=[{**PINNED, "revision": "c0ffee"}]))
    assert [dataset.revision for dataset in resolved.datasets] == ["c0ffee"]
    assert resolved.fingerprint == build_document(a_run()).fingerprint


def test_the_resolved_commit_of_a_model_is_in_the_document_but_not_in_the_fingerprint() -> None:
    run = a_run(model={"uri": "hf://acme/reader", "freeze": ["vision"]})
    resolved = build_document(run.with_status(model={"uri": "hf://acme/reader", "revision": "c0ffee"}))
    assert (resolved.model.revision, resolved.model.freeze) == ("c0ffee", ["vision"])
    assert resolved.fingerprint == build_document(run).fingerprint


def test_a_run_that_starts_from_another_gets_the_model_that_was_pinned() -> None:
    model = {"trainingRunRef": {"name": "first"}, "freeze": ["vision"]}
    run = a_run(model=model).with_status(model={"uri": "pvc://models/first", "revision": "c0ffee"})
    document = build_document(run).model
    assert (document.uri, document.revision, document.freeze) == ("pvc://models/first", "c0ffee", ["vision"])
    mounts = build_container(run)["volumeMounts"]
    assert {"name": "claim-models", "mountPath": "/mnt/volumes/models", "readOnly": True} in mounts


def test_a_users_labels_never_replace_ours_and_queue_names_stay_on_the_job() -> None:
    queue = {"kueue.x-k8s.io/queue-name": "research", "kueue.x-k8s.io/priority-class": "high"}
    labels = {"team": "vision", "deepsynth.io/owner-uid": "forged"}
    job = build_job(a_run().labelled(queue).with_template(labels=labels))
    pod = job["spec"]["template"]["metadata"]["labels"]
    assert job["metadata"]["labels"].items() >= queue.items()
    assert not pod.keys() & queue.keys()
    assert pod["team"] == "vision"
    assert pod["deepsynth.io/owner-uid"] == job["metadata"]["labels"]["deepsynth.io/owner-uid"] != "forged"


def test_children_are_the_same_each_time_they_are_built() -> None:
    run = a_run(numNodes=2).build()
    assert build_train_children(run, an_attempt()) == build_train_children(run, an_attempt())


def build_affinity(builder: ResourceBuilder[TrainingRun], *nodes: str) -> Any:
    job = build_train_children(builder.build(), an_attempt().updated(avoided_nodes=list(nodes)))[-1]
    return job["spec"]["template"]["spec"].get("affinity")


def test_the_pods_of_an_attempt_do_not_run_on_nodes_that_it_avoids() -> None:
    rules = [{"key": "metadata.name", "operator": "NotIn", "values": [name]} for name in ("n1", "n2")]
    required = {"nodeSelectorTerms": [{"matchFields": rules}]}
    assert build_affinity(a_run()) is None
    assert build_affinity(a_run(), "n1", "n2") == {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}
    }


def test_where_kueue_may_place_pods_is_read_from_the_pods() -> None:
    place = {"kueue.x-k8s.io/podset-preferred-topology": "cloud.provider.com/topology-rack"}
    other = {"kueue.x-k8s.io/admission-gated-by": "acme.io/gate"}
    job = build_job(a_run().with_metadata(annotations={**place, **other}))
    pods = job["spec"]["template"]["metadata"]["annotations"]
    assert pods.items() >= place.items()
    assert not pods.keys() & other.keys()
    assert job["metadata"]["annotations"].items() >= other.items()
    own = {"kueue.x-k8s.io/podset-preferred-topology": "kubernetes.io/hostname"}
    job = build_job(a_run().with_metadata(annotations=place).with_template(annotations=own))
    assert job["spec"]["template"]["metadata"]["annotations"].items() >= own.items()


def test_a_queued_job_may_use_nodes_that_it_avoids_where_no_other_is_free() -> None:
    """Otherwise a queue that looks at nodes would never admit it."""
    rules = [{"key": "metadata.name", "operator": "NotIn", "values": ["n1"]}]
    affinity = build_affinity(a_run().labelled({"kueue.x-k8s.io/queue-name": "team"}), "n1")
    assert affinity == {
        "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": {"matchFields": rules}}]
        }
    }


def test_an_attempt_of_one_pod_of_a_larger_run_needs_no_service() -> None:
    run = a_run(numNodes=2, elastic={"minNodes": 1}).build()
    assert [child["kind"] for child in build_train_children(run, an_attempt().updated(nodes=1))] == ["ConfigMap", "Job"]


def test_the_document_of_an_elastic_run_names_its_fewest_nodes() -> None:
    document = build_document(a_run(numNodes=4, elastic={"minNodes": 2}))
    assert (document.num_nodes, document.min_nodes) == (4, 2)
    assert "minNodes" not in build_document(a_run(numNodes=4)).to_json()


@pytest.mark.parametrize(("fewest", "is_partial"), [(1, True), (2, False)])
def test_a_queue_may_admit_an_elastic_job_with_fewer_pods(fewest: int, is_partial: bool) -> None:
    run = a_run(numNodes=2, elastic={"minNodes": fewest}).labelled({"kueue.x-k8s.io/queue-name": "team"})
    children = build_train_children(run.build(), an_attempt())
    assert ("ConfigMap" in [child["kind"] for child in children]) is not is_partial
    assert ("kueue.x-k8s.io/job-min-parallelism" in children[-1]["metadata"]["annotations"]) is is_partial


def test_topology_requests_for_kueue_reach_the_pods() -> None:
    topology = {"kueue.x-k8s.io/podset-required-topology": "cloud.com/rack"}
    run = a_run(numNodes=2).with_template(annotations=topology).labelled({"kueue.x-k8s.io/queue-name": "team"})
    assert build_job(run)["spec"]["template"]["metadata"]["annotations"].items() >= topology.items()
