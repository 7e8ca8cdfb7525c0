"""A TrainingRun from its creation to its end, reconciled against the in-memory cluster."""

from collections.abc import Iterator
from typing import Any

import pytest

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_api.labels import QUEUE_NAME
from deepsynth_api.report import Failure, Report, TrainReport
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_api.workload import TrainWorkload
from deepsynth_operator.core.errors import Refused
from deepsynth_operator.decisions.shared.throttle import START_DETAILS
from deepsynth_simulator.object_store import ObjectKey
from deepsynth_simulator.pod_runner import ContainerExit
from support.cluster.cluster_faults import QueueingCluster, disrupt, set_suspended
from support.control.controller import Controller
from support.resources.builders import a_dataset_generation, a_training_run

NAME = "read-xsum"
GPUS = {"limits": {"nvidia.com/gpu": 4}}


@pytest.fixture
def control() -> Iterator[Controller]:
    controller = Controller(QueueingCluster)
    yield controller
    controller.close()


def build_report(control: Controller, step: int, **fields: Any) -> Report:
    train = {"attempt": 1, "phase": "step", "step": step, "total_steps": 100, **fields}
    return Report(step="train", time=control.clock.now(), train=TrainReport.model_validate(train))


def build_checkpoint(control: Controller, step: int) -> dict[str, Any]:
    return {"step": step, "uri": f"pvc://checkpoints/read-xsum/step-{step}", "time": control.clock.now()}


def get_message(run: TrainingRun, kind: ConditionType) -> tuple[str, str, str]:
    condition = find_condition(run.status.conditions, kind)
    assert condition is not None
    return condition.status, condition.reason, condition.message


def complete(
    control: Controller, attempt: int = 1, uri: str = "pvc://checkpoints/read-xsum/model", **fields: Any
) -> None:
    output = {"uri": uri, "step": 100}
    report = build_report(control, 100, phase="done", saved_step=100, output=output, **fields)
    control.end(f"{NAME}-train-{attempt}-0", 0, report)
    control.settle()


def test_a_run_starts_trains_and_completes(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    assert control.get_run().status.state == "Starting"
    control.report(f"{NAME}-train-1-0", build_report(control, 42, loss=1.8342, remaining_seconds=7500))
    control.advance(20)
    summary = control.get_run().status.summary
    assert (summary.progress, summary.step, summary.loss, summary.eta) == ("42%", "42/100", "1.83", "2h5m")
    assert control.get_run().status.state == "Running"
    complete(control)
    status = control.get_run().status
    assert (status.state, status.summary.progress, status.completion_time) == ("Complete", "100%", control.clock.now())
    assert status.output is not None
    assert status.output.uri == "pvc://checkpoints/read-xsum/model"


def test_a_model_whose_uri_is_too_long_for_a_report_is_where_the_run_puts_it(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    complete(control, uri="")
    output = control.get_run().status.output
    assert output is not None
    assert (output.uri, output.step) == ("pvc://checkpoints/read-xsum/model", 100)


def test_on_first_sight_all_conditions_are_set_and_the_resource_is_not_taken_for_done(control: Controller) -> None:
    control.cluster.apply_resource(a_training_run().to_manifest())
    control.reconcile("TrainingRun", NAME)
    run = control.get_run()
    assert {condition.type for condition in run.status.conditions} == set(ConditionType)
    assert all(condition.observed_generation == 1 for condition in run.status.conditions)
    assert get_message(run, ConditionType.RECONCILING)[0] == "True"
    control.advance(START_DETAILS.total_seconds())
    assert get_message(control.get_run(), ConditionType.RECONCILING)[0] == "False"


def test_what_a_new_job_adds_is_written_once_its_pods_have_had_time_to_run(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    created = control.get_run()
    assert (created.status.attempts[0].job_uid, created.status.summary.reason) == ("", "CreatingJob")
    control.advance(START_DETAILS.total_seconds() - 1, step=1)
    assert control.get_run().metadata.resource_version == created.metadata.resource_version
    assert control.reconcile("TrainingRun", NAME) == 1, "the next look is when it is due"
    control.advance(1)
    started = control.get_run().status
    assert (started.attempts[0].job_uid != "", started.summary.reason) == (True, "Starting")


def test_a_job_that_is_deleted_at_once_counts_as_deleted_because_its_pods_were_seen(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    assert control.get_run().status.attempts[0].job_uid == ""
    control.cluster.delete_object("Job", "default", f"{NAME}-train-1")
    control.settle()
    assert control.get_run().status.attempts[0].reason == "JobDeleted"


def test_a_run_waits_for_its_dataset_and_pins_what_was_published(control: Controller) -> None:
    datasets = [{"name": "xsum", "datasetGenerationRef": {"name": "xsum"}}]
    control.apply(a_training_run().with_spec(datasets=datasets).to_manifest())
    run = control.get_run()
    assert (run.status.state, get_message(run, ConditionType.DATASET_READY)[1]) == (
        "WaitingForDataset",
        "DatasetNotFound",
    )
    assert get_message(run, ConditionType.RECONCILING)[0] == "False", "a wait is no work in progress"
    control.cluster.apply_resource(a_dataset_generation().to_manifest())
    control.reconcile("DatasetGeneration", "xsum")
    control.reconcile("TrainingRun", NAME)
    assert get_message(control.get_run(), ConditionType.DATASET_READY)[1] == "DatasetNotComplete"
    finish_generation(control, "Failed", "no such column")
    status, reason, message = get_message(control.get_run(), ConditionType.DATASET_READY)
    assert (status, reason) == ("False", "DatasetFailed")
    assert "no such column" in message
    assert control.get_run().status.state == "WaitingForDataset", "it may be deleted and applied again"
    finish_generation(control, "Complete", "")
    status_now = control.get_run().status
    assert [(item.uri, item.revision, item.rows) for item in status_now.datasets] == [("pvc://data/xsum", "v7", 30)]
    assert status_now.state == "Starting"


def test_a_branch_is_pinned_where_the_first_attempt_found_it_and_stays_there(control: Controller) -> None:
    datasets = [{"name": "pages", "uri": "hf://datasets/acme/pages", "revision": "main"}]
    control.apply(a_training_run().with_spec(datasets=datasets).to_manifest())
    pinned = {"name": "pages", "uri": "hf://datasets/acme/pages", "rows": 30}
    found = build_report(control, 0, phase="download", datasets=[{**pinned, "revision": "c0ffee"}])
    control.report(f"{NAME}-train-1-0", found)
    control.advance(20)
    assert [(item.revision, item.rows) for item in control.get_run().status.datasets] == [("c0ffee", 30)]
    moved = build_report(control, 1, datasets=[{**pinned, "revision": "decaf"}])
    control.end(f"{NAME}-train-1-0", 1, moved)
    control.advance(60)
    assert [item.revision for item in control.get_run().status.datasets] == ["c0ffee"]
    config_map = control.cluster.store.get("ConfigMap", "default", f"{NAME}-train-2")
    assert config_map is not None
    document = TrainWorkload.parse(config_map["data"]["workload.json"])
    assert [dataset.revision for dataset in document.datasets] == ["c0ffee"]


def test_the_commit_of_a_model_is_pinned_where_the_first_attempt_found_it(control: Controller) -> None:
    uri, commit = "hf://acme/reader", "c0ffee" + "0" * 34
    control.apply(a_training_run().with_spec(model={"uri": uri}).to_manifest())
    assert control.get_run().status.model is None
    for lie in ({"uri": uri, "revision": "main"}, {"uri": "hf://evil/reader", "revision": commit}, {"uri": uri}):
        control.report(f"{NAME}-train-1-0", build_report(control, 0, phase="download", model=lie))
        control.advance(20)
        assert control.get_run().status.model is None
    control.report(f"{NAME}-train-1-0", build_report(control, 0, model={"uri": uri, "revision": commit, "note": "x"}))
    control.advance(20)
    moved = build_report(control, 1, model={"uri": uri, "revision": commit[::-1]})
    control.end(f"{NAME}-train-1-0", 1, moved)
    control.advance(60)
    model = control.get_run().status.model
    assert model is not None
    assert (model.uri, model.revision, model.note) == (uri, commit, None)
    config_map = control.cluster.store.get("ConfigMap", "default", f"{NAME}-train-2")
    assert config_map is not None
    assert TrainWorkload.parse(config_map["data"]["workload.json"]).model.revision == commit


def test_samples_left_out_are_shown_and_not_forgotten_by_the_next_attempt(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    dropped = [{"reason": "LabelTooLong", "rows": 7}]
    control.end(f"{NAME}-train-1-0", 1, build_report(control, 1, dropped=dropped))
    control.advance(60)
    control.report(f"{NAME}-train-2-0", build_report(control, 1, phase="download"))
    control.advance(20)
    progress = control.get_run().status.progress
    assert progress is not None
    assert [(item.reason, item.rows) for item in progress.dropped] == [("LabelTooLong", 7)]


def finish_generation(control: Controller, kind: str, message: str) -> None:
    condition = {"type": kind, "status": "True", "reason": kind, "message": message}
    output = {"uri": "pvc://data/xsum", "revision": "v7", "rows": 30, "pages": 60, "bytes": 1, "manifestSha256": "m"}
    status = {"conditions": [{**condition, "lastTransitionTime": "2026-01-02T03:00:00Z"}], "output": output}
    key = ObjectKey("DatasetGeneration", "default", "xsum")
    control.cluster.store.update(key, lambda item: item.update(status=status))
    control.settle()


def test_a_run_starts_from_the_model_of_another_run(control: Controller) -> None:
    model = {"trainingRunRef": {"name": "teacher"}}
    control.apply(a_training_run().with_spec(model=model).to_manifest())
    assert get_message(control.get_run(), ConditionType.COMPLETE)[1] == "ModelNotFound"
    control.apply(a_training_run("teacher").named("teacher", uid="uid-2").to_manifest())
    assert get_message(control.get_run(), ConditionType.COMPLETE)[1] == "ModelNotComplete"
    control.end("teacher-train-1-0", 0)
    control.settle()
    control.settle()
    pinned = control.get_run().status.model
    assert pinned is not None
    assert pinned.uri == "pvc://checkpoints/teacher/model", "its folder is known although its report was lost"


def test_suspending_saves_stops_and_gives_the_gpus_back_and_resuming_is_another_attempt(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    control.runner.obeys = None
    control.change_spec("TrainingRun", NAME, suspend=True)
    run = control.get_run()
    assert (run.status.state, run.status.attempts[0].outcome) == ("Suspended", "Suspended")
    assert control.list_jobs() == []
    control.change_spec("TrainingRun", NAME, suspend=False)
    assert len(control.get_run().status.attempts) == 1, "the pod is still saving"
    control.end(f"{NAME}-train-1-0", 143, build_report(control, 9, saved_step=9))
    control.settle()
    status = control.get_run().status
    assert [attempt.number for attempt in status.attempts] == [1, 2]
    assert (status.saved_step, status.restarts, status.failures, status.attempts_without_progress) == (9, 0, 0, 0)


def test_what_a_suspended_attempt_still_saved_is_not_lost_time(control: Controller) -> None:
    control.apply(a_training_run().with_spec(resourcesPerNode=GPUS).to_manifest())
    control.runner.obeys = None
    control.advance(100)
    control.change_spec("TrainingRun", NAME, suspend=True)
    assert control.get_run().status.usage.lost_gpu_seconds == 400
    control.end(f"{NAME}-train-1-0", 143, build_report(control, 9, saved_step=9))
    control.settle()
    usage = control.get_run().status.usage
    assert (usage.gpu_seconds, usage.lost_gpu_seconds) == (400, 0)


def test_gpu_time_after_the_last_checkpoint_of_a_failed_attempt_is_lost(control: Controller) -> None:
    control.apply(a_training_run().with_spec(resourcesPerNode=GPUS).to_manifest())
    control.advance(50)
    control.report(f"{NAME}-train-1-0", build_report(control, 9, saved_step=9))
    control.settle()
    control.advance(20)
    control.end(f"{NAME}-train-1-0", 1)
    control.settle()
    usage = control.get_run().status.usage
    assert (usage.gpu_seconds, usage.lost_gpu_seconds) == (280, 80)


def test_a_queue_that_takes_the_job_back_and_admits_it_again_makes_another_attempt_of_the_same_job(
    control: Controller,
) -> None:
    control.apply(a_training_run().labelled({QUEUE_NAME: "team"}).to_manifest())
    assert control.get_run().status.state == "Queued"
    job = control.list_jobs()[0]
    set_suspended(control.cluster, job, suspended=False)
    control.settle()
    control.advance(100)
    set_suspended(control.cluster, job, suspended=True)
    control.settle()
    status = control.get_run().status
    assert (status.state, status.attempts[0].outcome) == ("Queued", "Suspended")
    assert control.list_jobs() == [job]
    control.clock.advance(60)
    set_suspended(control.cluster, job, suspended=False)
    control.advance(20)
    status = control.get_run().status
    assert [(attempt.number, attempt.job) for attempt in status.attempts] == [(1, job), (2, job)]
    assert (status.attempts[1].outcome, status.restarts) == (None, 0)
    complete(control)
    assert control.get_run().status.state == "Complete"


def test_how_pods_ended_when_the_queue_took_them_back_is_not_held_against_the_next_attempt(
    control: Controller,
) -> None:
    control.apply(a_training_run().labelled({QUEUE_NAME: "team"}).to_manifest())
    job = control.list_jobs()[0]
    set_suspended(control.cluster, job, suspended=False)
    control.settle()
    control.runner.obeys = ContainerExit(1)
    control.clock.advance(100)
    set_suspended(control.cluster, job, suspended=True)
    control.settle()
    control.clock.advance(60)
    set_suspended(control.cluster, job, suspended=False)
    control.advance(20)
    status = control.get_run().status
    assert [attempt.outcome for attempt in status.attempts] == ["Suspended", None]
    assert status.failures == 0


def test_an_evicted_attempt_is_followed_by_another_and_counts_as_no_failure(control: Controller) -> None:
    control.apply(a_training_run().with_spec(numNodes=2, backoffLimit=0).to_manifest())
    disrupt(control.cluster, f"{NAME}-train-1-0")
    control.settle()
    assert control.get_run().status.state == "Restarting"
    control.advance(15)
    status = control.get_run().status
    assert (status.attempts[0].reason, status.restarts, status.failures) == ("Evicted", 1, 0)
    assert control.list_living_jobs() == [f"{NAME}-train-2"]


def test_a_finished_run_stays_finished_after_its_jobs_are_gone(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    complete(control)
    before = control.get_run().status
    for job in control.list_jobs():
        control.cluster.delete_object("Job", "default", job)
    control.advance(1000, step=500)
    assert (control.get_run().status, control.list_jobs()) == (before, [])
    control.change_spec("TrainingRun", NAME, suspend=True)
    after = control.get_run()
    assert (after.status.state, after.status.observed_generation) == ("Complete", after.metadata.generation)


def test_the_ttl_removes_the_children_but_never_the_resource(control: Controller) -> None:
    control.apply(a_training_run().with_spec(ttlSecondsAfterFinished=100).to_manifest())
    complete(control)
    assert control.reconcile("TrainingRun", NAME) == 100
    control.advance(99, step=99)
    assert control.list_jobs() == [f"{NAME}-train-1"]
    control.advance(1)
    left = [item for kind in ("Job", "Pod", "ConfigMap", "Service") for item in control.cluster.store.select(kind)]
    assert left == []
    assert control.get_run().status.state == "Complete"
    assert control.reconcile("TrainingRun", NAME) is None


def test_nothing_is_done_for_a_run_that_is_being_deleted(control: Controller) -> None:
    manifest = a_training_run().with_metadata(deletionTimestamp="2026-01-02T03:00:00Z").to_manifest()
    control.cluster.restore_resource({**manifest, "metadata": {**manifest["metadata"], "uid": "uid-1"}})
    control.settle()
    assert (control.get_run().status.state, control.list_jobs()) == (None, [])


def test_reports_of_the_same_progress_are_written_once_and_others_at_most_every_30_seconds(
    control: Controller,
) -> None:
    control.apply(a_training_run().to_manifest())
    control.report(f"{NAME}-train-1-0", build_report(control, 10, loss=1.0))
    control.settle()
    version = control.get_run().metadata.resource_version
    control.advance(300, step=15)
    assert control.get_run().metadata.resource_version == version, "nothing happened"
    control.report(f"{NAME}-train-1-0", build_report(control, 11, loss=1.0))
    control.settle()
    assert control.get_run().status.summary.step == "11/100"
    control.report(f"{NAME}-train-1-0", build_report(control, 12, loss=1.0))
    control.advance(25)
    assert control.get_run().status.summary.step == "11/100"
    control.advance(5)
    assert control.get_run().status.summary.step == "12/100"


def test_a_new_checkpoint_is_written_at_once(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    control.report(f"{NAME}-train-1-0", build_report(control, 10))
    control.settle()
    checkpoint = build_checkpoint(control, 11)
    metrics = [{"name": "validation_loss", "value": "2.1", "step": 11}]
    report = build_report(control, 11, checkpoints=[checkpoint], best_checkpoint=checkpoint, metrics=metrics)
    control.report(f"{NAME}-train-1-0", report)
    control.settle()
    status = control.get_run().status
    assert (status.summary.checkpoint, status.saved_step) == ("11", 11)
    assert status.best_checkpoint == status.checkpoints[0]
    assert [metric.value for metric in status.metrics] == ["2.1"]


def test_a_late_report_of_an_earlier_step_does_not_move_the_status_back(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    for step in (20, 10):
        control.report(f"{NAME}-train-1-0", build_report(control, step, saved_step=step))
        control.advance(20)
    status = control.get_run().status
    assert (status.summary.step, status.saved_step) == ("20/100", 20)


def test_an_attempt_that_resumes_from_an_earlier_checkpoint_says_so_in_notes_and_makes_no_progress_yet(
    control: Controller,
) -> None:
    control.apply(a_training_run().to_manifest())
    control.report(f"{NAME}-train-1-0", build_report(control, 20, saved_step=20))
    control.settle()
    control.end(f"{NAME}-train-1-0", 1)
    control.settle()
    control.advance(15)
    previous = Failure(reason="CudaError", message="device lost", exit_code=1, rank=3, node="n9")
    report = build_report(control, 11, saved_step=10, resumed_from_step=10, notes=["step 20 is damaged; using 10"])
    control.report(f"{NAME}-train-2-0", report.updated(previous=previous))
    control.advance(20)
    status = control.get_run().status
    assert status.notes == ["step 20 is damaged; using 10"]
    assert (status.attempts[1].resumed_from_step, status.attempts[1].saved_step, status.saved_step) == (10, None, 20)
    assert status.summary.step == "11/100", "the truth, although the attempt before was further"
    assert status.attempts[0].rank is None, "what the pod itself reported is not replaced"


def test_the_report_next_to_the_checkpoints_explains_a_vanished_attempt(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    control.cluster.delete_object("Job", "default", f"{NAME}-train-1")
    control.settle()
    control.advance(15)
    previous = Failure(reason="CudaError", message="device lost", exit_code=1, rank=3, node="n9")
    control.report(f"{NAME}-train-2-0", build_report(control, 0).updated(previous=previous))
    control.settle()
    first = control.get_run().status.attempts[0]
    assert (first.outcome, first.rank, first.node, first.message) == ("Disrupted", 3, "n9", "device lost")
    assert control.get_run().status.failures == 0


@pytest.mark.parametrize(
    ("done", "total", "said"),
    [(12_000_000_000, 50_000_000_000, "12.0 of 50.0 GB"), (1_200_000, 14_400_000, "1.2 of 14.4 MB")],
)
def test_the_bytes_of_the_download_show_while_the_run_starts(
    control: Controller, done: int, total: int, said: str
) -> None:
    control.apply(a_training_run().to_manifest())
    fields = {"phase": "download", "download_bytes": done, "download_bytes_total": total}
    control.report(f"{NAME}-train-1-0", build_report(control, 0, **fields))
    control.settle()
    assert control.get_run().status.state == "Starting"
    message = get_message(control.get_run(), ConditionType.COMPLETE)[2]
    assert message == f"attempt 1: downloading, {said}"


def test_a_spec_that_no_pod_can_be_built_from_fails_with_the_field_and_without_a_retry(control: Controller) -> None:
    control.apply(a_training_run().with_spec(resourcesPerNode={"limits": {"nvidia.com/gpu": "500m"}}).to_manifest())
    run = control.get_run()
    status, reason, message = get_message(run, ConditionType.FAILED)
    assert (run.status.state, status, reason) == ("Failed", "True", "BadConfiguration")
    assert "spec.resourcesPerNode.limits[nvidia.com/gpu]" in message


def test_a_job_that_the_api_server_refuses_is_a_failure_that_says_so(
    control: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(manifest: Any) -> None:
        raise Refused("jobs.batch is forbidden: exceeded quota")

    monkeypatch.setattr(control.cluster, "create", refuse)
    control.apply(a_training_run().with_spec(backoffLimit=0).to_manifest())
    assert get_message(control.get_run(), ConditionType.FAILED)[1] == "BackoffLimitExceeded"
    assert "exceeded quota" in get_message(control.get_run(), ConditionType.FAILED)[2]


def test_a_child_of_a_deleted_resource_of_the_same_name_is_waited_for(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    control.runner.obeys = ContainerExit(143)
    old = control.cluster.store.get("Job", "default", f"{NAME}-train-1")
    assert old is not None
    control.cluster.delete_object("TrainingRun", "default", NAME)
    old["metadata"].pop("ownerReferences")
    control.cluster.store.restore(old)
    control.cluster.apply_resource(a_training_run().to_manifest())
    assert control.reconcile("TrainingRun", NAME) == 10
    assert control.get_run().status.attempts[0].job_uid == ""
    control.cluster.delete_object("Job", "default", f"{NAME}-train-1")
    control.advance(START_DETAILS.total_seconds())
    assert control.get_run().status.attempts[0].job_uid != ""


def test_each_transition_but_the_first_attempt_is_one_event(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    control.end(f"{NAME}-train-1-0", 1, message="boom")
    control.settle()
    control.advance(15)
    complete(control, attempt=2)
    control.advance(30)
    assert [(event.kind, event.reason) for event in control.cluster.events] == [
        ("Warning", "AttemptFailed"),
        ("Normal", "AttemptStarted"),
        ("Normal", "Complete"),
    ]
    assert control.cluster.events[0].message == "attempt 1 Failed: NonZeroExit (node localhost, exit code 1): boom"


def get_job_deadline(control: Controller, name: str) -> Any:
    job = control.cluster.store.get("Job", "default", name)
    assert job is not None
    return job["spec"].get("activeDeadlineSeconds")


def test_a_changed_deadline_of_a_live_run_is_that_of_its_job(control: Controller) -> None:
    control.apply(a_training_run().with_spec(activeDeadlineSeconds=600).to_manifest())
    control.advance(60)
    for seconds in (7200, 300):
        control.change_spec("TrainingRun", NAME, activeDeadlineSeconds=seconds)
        assert get_job_deadline(control, f"{NAME}-train-1") == seconds
    assert control.list_jobs() == [f"{NAME}-train-1"], "the attempt continues"


def test_a_deadline_that_a_live_run_gets_later_is_that_of_its_job(control: Controller) -> None:
    control.apply(a_training_run().to_manifest())
    control.change_spec("TrainingRun", NAME, activeDeadlineSeconds=300)
    assert get_job_deadline(control, f"{NAME}-train-1") == 300


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_removed_deadline_is_removed_from_the_live_job_unless_it_is_of_an_admission_policy(
    control: Controller, is_ours: bool
) -> None:
    limit = {"activeDeadlineSeconds": 600}
    control.apply(a_training_run().with_spec(**(limit if is_ours else {})).to_manifest())
    control.cluster.store.update(
        ObjectKey("Job", "default", f"{NAME}-train-1"), lambda item: item["spec"].update(limit)
    )
    control.advance(30)
    control.cluster.store.update(
        ObjectKey("TrainingRun", "default", NAME), lambda item: item["spec"].pop("activeDeadlineSeconds", None)
    )
    control.settle()
    assert get_job_deadline(control, f"{NAME}-train-1") == (None if is_ours else 600)


def test_the_deadline_of_a_later_job_counts_from_the_start_of_the_run(control: Controller) -> None:
    control.apply(a_training_run().with_spec(activeDeadlineSeconds=600).to_manifest())
    control.advance(100)
    control.end(f"{NAME}-train-1-0", 75)
    control.advance(20)
    left = get_job_deadline(control, f"{NAME}-train-2")
    assert 480 <= left < 500
    control.change_spec("TrainingRun", NAME, activeDeadlineSeconds=700)
    assert get_job_deadline(control, f"{NAME}-train-2") == left + 100


def test_a_job_whose_deadline_agrees_is_not_patched(control: Controller, monkeypatch: pytest.MonkeyPatch) -> None:
    patched: list[Any] = []

    async def note(*_: Any, **fields: Any) -> None:
        patched.append(fields)

    control.apply(a_training_run().with_spec(activeDeadlineSeconds=600).to_manifest())
    monkeypatch.setattr(control.cluster, "patch_job", note)
    control.advance(60)
    assert patched == []
    control.change_spec("TrainingRun", NAME, suspend=True)
    assert patched == [], "a Job that is being deleted"


def hang_on(control: Controller, attempt: int, index: int) -> None:
    """The pod with this index ends because its rank hangs."""
    failure = Failure(reason="Hung", message="rank hangs", exit_code=79, rank=index)
    control.end(f"{NAME}-train-{attempt}-{index}", 79, build_report(control, 10).updated(failure=failure))
    control.settle()


def find_nodes(control: Controller, attempt: int) -> list[Any]:
    job = f"{NAME}-train-{attempt}-"
    pods = [pod for pod in control.cluster.store.select("Pod") if pod["metadata"]["name"].startswith(job)]
    return [pod["spec"].get("nodeName") for pod in pods]


def test_the_attempts_after_a_hang_run_on_other_nodes_for_an_hour() -> None:
    control = Controller(QueueingCluster, nodes=("node-a", "node-b", "node-c"))
    control.apply(a_training_run().with_spec(numNodes=2).to_manifest())
    assert find_nodes(control, 1) == ["node-a", "node-b"]
    hang_on(control, 1, index=1)
    control.advance(60)
    assert control.get_run().status.attempts[-1].avoided_nodes == ["node-b"]
    assert find_nodes(control, 2) == ["node-a", "node-c"]
    assert "avoids node node-b (Hung in attempt 1)" in get_message(control.get_run(), ConditionType.COMPLETE)[2]
    control.advance(3600, step=300)
    disrupt(control.cluster, f"{NAME}-train-2-0")
    control.advance(60)
    assert find_nodes(control, 3) == ["node-a", "node-b"]
    control.close()


def test_a_run_on_a_cluster_without_another_node_continues_on_the_node_on_which_it_hung() -> None:
    control = Controller(QueueingCluster, nodes=("node-a",))
    control.apply(a_training_run().to_manifest())
    hang_on(control, 1, index=0)
    control.advance(200)
    assert (find_nodes(control, 2), control.get_run().status.state) == ([None], "Starting")
    control.advance(400)
    attempts = control.get_run().status.attempts
    assert [(item.outcome, item.reason, item.avoided_nodes) for item in attempts] == [
        ("Hung", "Hung", None),
        ("Disrupted", "NotStarted", ["node-a"]),
        (None, "", None),
    ]
    assert find_nodes(control, 3) == ["node-a"]
    complete(control, attempt=3)
    assert control.get_run().status.state == "Complete"
    control.close()
