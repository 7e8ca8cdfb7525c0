import json
from dataclasses import replace
from pathlib import Path

import pytest

from deepsynth_api.errors import ConfigurationError, PeerLostError
from deepsynth_train.checkpoint.layout import list_stale_staging, staging_name
from deepsynth_train.checkpoint.owner import Owner, check_ownership, claim_folder, read_owner
from support.training.train_workloads import build_train_workload

FIRST = Owner("uid-1", "same", 1)
SECOND = Owner("uid-1", "same", 2)
OTHER_RUN = Owner("uid-2", "same", 1)
OTHER_SETTINGS = Owner("uid-2", "different", 1)


def test_the_first_attempt_claims_an_empty_folder(tmp_path: Path) -> None:
    assert claim_folder(tmp_path / "new", FIRST) is None
    assert read_owner(tmp_path / "new") == FIRST


def test_after_a_later_attempt_claims_the_folder_the_earlier_may_not_commit(tmp_path: Path) -> None:
    claim_folder(tmp_path, FIRST)
    claim_folder(tmp_path, SECOND)
    check_ownership(tmp_path, SECOND)
    with pytest.raises(PeerLostError, match="attempt 2 of run uid-1"):
        check_ownership(tmp_path, FIRST)


def test_an_earlier_attempt_cannot_claim_the_folder_again(tmp_path: Path) -> None:
    claim_folder(tmp_path, SECOND)
    with pytest.raises(PeerLostError):
        claim_folder(tmp_path, FIRST)
    assert read_owner(tmp_path) == SECOND


def test_of_two_jobs_with_the_same_attempt_the_second_stops_and_the_next_attempt_continues(tmp_path: Path) -> None:
    """The operator was down and never saw the first one; nobody knows which of them is left over."""
    first, second, third = (Owner("uid-1", "same", *job) for job in ((1, "job-a"), (1, "job-b"), (2, "job-c")))
    claim_folder(tmp_path, first)
    claim_folder(tmp_path, first)
    with pytest.raises(PeerLostError, match=r"attempt 1 \(Job job-a\) of run uid-1"):
        claim_folder(tmp_path, second)
    check_ownership(tmp_path, first)
    claim_folder(tmp_path, third)
    for left_over in (first, second):
        with pytest.raises(PeerLostError, match="attempt 2"):
            check_ownership(tmp_path, left_over)
        with pytest.raises(PeerLostError, match="attempt 2"):
            claim_folder(tmp_path, left_over)
    check_ownership(tmp_path, third)


def test_an_attempt_of_an_earlier_version_whose_job_is_unknown_is_distinguished_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "owner.json").write_text(json.dumps({"run_uid": "uid-1", "fingerprint": "same", "attempt": 1}))
    assert read_owner(tmp_path) == FIRST
    known = Owner("uid-1", "same", 1, "job-a")
    claim_folder(tmp_path, known)
    claim_folder(tmp_path, FIRST)
    with pytest.raises(PeerLostError):
        check_ownership(tmp_path, known)


def test_a_process_knows_its_job_from_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workload = build_train_workload(tmp_path)
    assert Owner.of(workload).job_uid == ""
    monkeypatch.setenv("DEEPSYNTH_JOB_UID", "job-a")
    assert Owner.of(workload) == Owner(workload.uid, workload.fingerprint, workload.attempt, "job-a")


def test_another_run_with_the_same_settings_adopts_the_checkpoints_with_a_note(tmp_path: Path) -> None:
    claim_folder(tmp_path, SECOND)
    (tmp_path / "step-10").mkdir()
    note = claim_folder(tmp_path, OTHER_RUN)
    assert note is not None
    assert "uid-1" in note
    assert read_owner(tmp_path) == OTHER_RUN


def test_a_folder_without_checkpoints_is_taken_over_without_a_note(tmp_path: Path) -> None:
    claim_folder(tmp_path, SECOND)
    (tmp_path / "step-10.tmp-attempt-2").mkdir()
    assert claim_folder(tmp_path, OTHER_RUN) is None
    assert read_owner(tmp_path) == OTHER_RUN


def test_another_run_with_different_settings_is_refused_with_the_remedy(tmp_path: Path) -> None:
    claim_folder(tmp_path, FIRST)
    with pytest.raises(ConfigurationError, match=r"spec\.checkpoint\.uri.*choose an empty folder"):
        claim_folder(tmp_path, OTHER_SETTINGS)
    assert read_owner(tmp_path) == FIRST


def test_a_refusal_names_the_run_that_has_the_folder(tmp_path: Path) -> None:
    claim_folder(tmp_path, Owner.of(build_train_workload(tmp_path).updated(namespace="demo", name="read-xsum")))
    with pytest.raises(ConfigurationError, match=r"belongs to another run, demo/read-xsum \(uid .+\), which has other"):
        claim_folder(tmp_path, OTHER_SETTINGS)


def test_the_name_of_a_run_does_not_decide_who_owns_a_folder(tmp_path: Path) -> None:
    claim_folder(tmp_path, replace(FIRST, run_name="demo/read-xsum"))
    check_ownership(tmp_path, FIRST)


def test_checkpoints_without_an_owner_are_refused(tmp_path: Path) -> None:
    (tmp_path / "step-10").mkdir()
    with pytest.raises(ConfigurationError, match=r"no owner\.json"):
        claim_folder(tmp_path, FIRST)


@pytest.mark.parametrize("text", ["", "{}", "[]", json.dumps({"run_uid": "a", "fingerprint": "b", "attempt": "x"})])
def test_an_owner_file_that_cannot_be_parsed_is_a_configuration_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "owner.json").write_text(text)
    with pytest.raises(ConfigurationError, match=r"owner\.json cannot be parsed"):
        claim_folder(tmp_path, FIRST)


def test_a_folder_without_an_owner_file_has_no_owner(tmp_path: Path) -> None:
    with pytest.raises(PeerLostError, match="no attempt"):
        check_ownership(tmp_path, FIRST)


def test_workers_that_start_again_in_their_pod_fence_off_those_before_them(tmp_path: Path) -> None:
    restarted = replace(FIRST, restart=1)
    claim_folder(tmp_path, FIRST)
    claim_folder(tmp_path, restarted)
    check_ownership(tmp_path, restarted)
    with pytest.raises(PeerLostError):
        check_ownership(tmp_path, FIRST)


def test_a_new_job_follows_restarts_that_the_operator_never_saw(tmp_path: Path) -> None:
    """The Job of attempt 1 was lost after two restarts in place, and the next one is attempt 2 for the operator."""
    claim_folder(tmp_path, replace(FIRST, restart=2))
    claim_folder(tmp_path, SECOND)
    check_ownership(tmp_path, SECOND)
    (tmp_path / staging_name(5, 1, restart=2)).mkdir()
    assert [path.name for path in list_stale_staging(tmp_path, 2)] == ["step-5.tmp-attempt-1.2"]
