"""The order of a DatasetGeneration's decisions, first match wins. `decide.py` asks these tables from top to bottom.

The tables, by where the resource stands:

    a Job is live                 END_POLICIES      is it over, and with which outcome?
    it is over                    FAILURE_POLICIES  is there no further Job?
    the next one may start        START_POLICIES    what does it have to wait for?
"""

from typing import Final

from deepsynth_operator.decisions.dataset_generation import ends, failures, starts
from deepsynth_operator.decisions.dataset_generation.ends import LiveStep
from deepsynth_operator.decisions.dataset_generation.starts import GenerationSituation
from deepsynth_operator.decisions.dataset_generation.view import GenerationView
from deepsynth_operator.decisions.shared import ends as shared
from deepsynth_operator.decisions.shared.decision import Cause, Verdict
from deepsynth_operator.decisions.shared.policies import NotOver, Policy

END_POLICIES: Final[tuple[Policy[LiveStep, Cause | NotOver], ...]] = (
    Policy(shared.waits_for_exit_codes, "the Job has finished, and the cache may not show its pods' exit codes yet"),
    Policy(ends.succeeded, "the Job is Complete and no index failed"),
    Policy(shared.ended_at_its_deadline, "the Job has failed because spec.activeDeadlineSeconds is over"),
    Policy(ends.failed, "the Job has failed: it has already retried what can be retried"),
    Policy(shared.exceeded_deadline, "spec.activeDeadlineSeconds is over"),
    Policy(shared.suspended_by_user, "spec.suspend is true"),
    Policy(ends.requeued, "a queue suspended the queue Job, or somebody deleted that"),
    Policy(shared.deleted, "somebody deleted the Job"),
    Policy(shared.refused_by_api_server, "the API server refuses the Job or its ConfigMap"),
    Policy(shared.not_created_yet, "the Job does not exist yet"),
    Policy(shared.lost_node, "a pod hangs in Terminating on a node that does not answer"),
    Policy(ends.stuck, "for ten minutes no pod has got past a wrong image or a missing Secret"),
)

FAILURE_POLICIES: Final[tuple[Policy[GenerationView, Verdict], ...]] = (
    Policy(failures.exceeded_deadline, "spec.activeDeadlineSeconds is over"),
    Policy(failures.failed_job, "the last Job has failed"),
    Policy(failures.lost_reports, "three Jobs in a row succeeded without a report"),
    Policy(failures.no_progress, "ten Jobs in a row were disrupted, and no shard was finished meanwhile"),
    Policy(failures.no_rows, "the plan has no document to render"),
)

START_POLICIES: Final[tuple[Policy[GenerationView, GenerationSituation], ...]] = (
    Policy(starts.suspended, "spec.suspend is true"),
    Policy(starts.delayed, "the delay after the last disruption is not over"),
    Policy(starts.queued, "the queue has not admitted the queue Job"),
    Policy(starts.blocked, "an earlier Job or pod is still there"),
)
