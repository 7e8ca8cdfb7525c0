"""What each gang scheduler needs to see of an attempt, and what is refused."""

from collections.abc import Mapping
from typing import Any

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_operator.core.cluster import get_kind
from deepsynth_operator.core.job_defaults import parse_job_defaults
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.settings import GangApi, Settings
from deepsynth_operator.manifests.children import build_children, list_companion_kinds
from support.resources.builders import ResourceBuilder, a_training_run

JOB = "read-xsum-train-1"
ATTEMPT = {"number": 1, "startTime": "2026-01-02T03:04:05Z", "job": JOB, "image": "gpu"}
WITH_GROUP: list[GangApi] = ["volcano", "coscheduling", "kubernetes-v1alpha2", "kubernetes-v1beta1"]


def a_gang(scheduler: str | None = "volcano", nodes: int = 2, **template: Any) -> ResourceBuilder[TrainingRun]:
    named = {"schedulerName": scheduler} if scheduler else {}
    return (
        a_training_run()
        .with_spec(numNodes=nodes, scheduling={"gang": True})
        .with_template(**named, **template)
        .with_status(datasets=[{"name": "pages", "uri": "pvc://data/pages"}], attempts=[ATTEMPT])
    )


def build(builder: ResourceBuilder[TrainingRun], schedulers: Mapping[str, GangApi] | None) -> list[Manifest]:
    return build_children(builder.build(), JOB, Settings(gang_schedulers=schedulers))


def get_pods(children: list[Manifest]) -> Any:
    return children[-1]["spec"]["template"]


def find_groups(children: list[Manifest]) -> list[Manifest]:
    return [child for child in children if child["kind"] == "PodGroup"]


@pytest.mark.parametrize("api", WITH_GROUP)
def test_a_group_of_all_pods_comes_right_before_the_job_and_belongs_to_the_run(api: GangApi) -> None:
    children = build(a_gang("mine", nodes=4), {"mine": api})
    assert [child["kind"] for child in children][-2:] == ["PodGroup", "Job"]
    group, job = children[-2:]
    assert group["metadata"] == job["metadata"]
    assert group["metadata"]["ownerReferences"][0]["kind"] == "TrainingRun"
    spec = group["spec"]
    assert (spec.get("minMember") or spec["schedulingPolicy"]["gang"]["minCount"]) == 4
    assert list_companion_kinds(a_gang("mine").build(), Settings(gang_schedulers={"mine": api}))[-1] == get_kind(group)


@pytest.mark.parametrize(("fewest", "members"), [(2, [2]), (4, [4]), (1, [])])
def test_an_elastic_gang_starts_with_its_fewest_pods(fewest: int, members: list[int]) -> None:
    gang = a_gang("mine", nodes=4).with_spec(numNodes=4, scheduling={"gang": True}, elastic={"minNodes": fewest})
    groups = find_groups(build(gang, {"mine": "volcano"}))
    assert [group["spec"]["minMember"] for group in groups] == members


def test_volcano_finds_the_group_in_an_annotation_of_the_pods() -> None:
    pods = get_pods(build(a_gang(), {"volcano": "volcano"}))
    assert pods["metadata"]["annotations"]["scheduling.k8s.io/group-name"] == JOB
    assert pods["spec"]["schedulerName"] == "volcano"


def test_the_group_has_the_queue_and_the_priority_that_its_pods_ask_volcano_for() -> None:
    run = a_gang(annotations={"scheduling.volcano.sh/queue-name": "research"}, priorityClassName="high")
    (group,) = find_groups(build(run, {"volcano": "volcano"}))
    assert group["spec"] == {"minMember": 2, "queue": "research", "priorityClassName": "high"}


def test_coscheduling_finds_the_group_in_a_label_of_the_pods() -> None:
    pods = get_pods(build(a_gang("plugins"), {"plugins": "coscheduling"}))
    assert pods["metadata"]["labels"]["scheduling.x-k8s.io/pod-group"] == JOB


def test_kai_makes_the_group_itself_and_reads_its_size_from_the_job() -> None:
    run = a_gang("kai-scheduler", labels={"kai.scheduler/queue": "research"})
    children = build(run, {"kai-scheduler": "kai"})
    assert find_groups(children) == []
    assert children[-1]["metadata"]["annotations"]["kai.scheduler/batch-min-member"] == "2"
    assert children[-1]["metadata"]["labels"]["kai.scheduler/queue"] == "research"
    assert get_pods(children)["metadata"]["labels"]["kai.scheduler/queue"] == "research"
    assert list_companion_kinds(run.build(), Settings(gang_schedulers={"kai-scheduler": "kai"})) == [
        "Service",
        "ConfigMap",
    ]


@pytest.mark.parametrize("version", ["v1alpha2", "v1beta1"])
def test_kubernetes_finds_the_group_in_a_field_of_the_pods(version: str) -> None:
    schedulers: Any = {"default-scheduler": f"kubernetes-{version}"}
    children = build(a_gang(None), schedulers)
    assert children[-2]["apiVersion"] == f"scheduling.k8s.io/{version}"
    assert get_pods(children)["spec"]["schedulingGroup"] == {"podGroupName": JOB}


@pytest.mark.parametrize(
    ("scheduler", "known", "remedy"),
    [
        (None, {}, "default-scheduler as a gang scheduler; ask the administrator to name the scheduler"),
        ("volcan", {"volcano": "volcano"}, "volcan as a gang scheduler; set spec.template.schedulerName to volcano, "),
        (None, {"volcano": "volcano", "kai-scheduler": "kai"}, "to kai-scheduler or volcano, or set gang to false"),
    ],
)
def test_a_scheduler_that_is_not_known_to_start_gangs_is_refused(
    scheduler: str | None, known: dict[str, GangApi], remedy: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"^spec\.scheduling\.gang: ") as refused:
        build(a_gang(scheduler), known)
    assert remedy in str(refused.value)


def test_the_scheduler_may_come_from_the_defaults_of_the_administrator() -> None:
    defaults = parse_job_defaults("[{template: {schedulerName: volcano}}]")
    settings = Settings(gang_schedulers={"volcano": "volcano"}, job_defaults=defaults)
    run = a_gang(None).build()
    assert [child["kind"] for child in build_children(run, JOB, settings)][-2:] == ["PodGroup", "Job"]
    assert list_companion_kinds(run, settings)[-1] == "PodGroup.v1beta1.scheduling.volcano.sh"


@pytest.mark.parametrize(
    ("run", "known"),
    [
        (a_gang().with_spec(scheduling={}), {"volcano": "volcano"}),
        (a_gang(nodes=1), {"volcano": "volcano"}),
        (a_gang(nodes=1), {}),
        (a_gang(), None),
    ],
    ids=["not asked for", "one pod", "one pod of any scheduler", "without schedulers, on one machine"],
)
def test_nothing_changes_without_a_gang(run: ResourceBuilder[TrainingRun], known: Mapping[str, GangApi] | None) -> None:
    plain = run.with_spec(scheduling={})
    assert build(run, known) == build(plain, {})
