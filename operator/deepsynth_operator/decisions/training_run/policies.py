"""The order of a TrainingRun's decisions, first match wins. `decide.py` asks these tables from top to bottom.

The tables, by where the resource stands:

    an attempt is live            END_POLICIES      is it over, and with which outcome?
    it is over                    FAILURE_POLICIES  is there no further attempt?
    another one may start         START_POLICIES    what does it have to wait for?

An outcome that is known already stays: see `conclude_attempt` in `decide.py`.
"""

from typing import Final

from deepsynth_operator.decisions.shared import ends as shared
from deepsynth_operator.decisions.shared.decision import Cause, Verdict
from deepsynth_operator.decisions.shared.policies import NotOver, Policy
from deepsynth_operator.decisions.training_run import ends, failures, starts
from deepsynth_operator.decisions.training_run.ends import LiveAttempt
from deepsynth_operator.decisions.training_run.starts import RunSituation
from deepsynth_operator.decisions.training_run.view import RunView

END_POLICIES: Final[tuple[Policy[LiveAttempt, Cause | NotOver], ...]] = (
    Policy(shared.waits_for_exit_codes, "the Job has finished, and the cache may not show its pods' exit codes yet"),
    Policy(ends.succeeded, "the Job is Complete"),
    Policy(shared.ended_at_its_deadline, "the Job has failed because spec.activeDeadlineSeconds is over"),
    Policy(ends.failed, "the Job has failed: what was seen of its pods decides, else somebody took a pod away"),
    Policy(shared.exceeded_deadline, "spec.activeDeadlineSeconds is over"),
    Policy(shared.suspended_by_user, "spec.suspend is true"),
    Policy(shared.deleted, "somebody deleted the Job"),
    Policy(shared.refused_by_api_server, "the API server refuses the Job, its Service or its ConfigMap"),
    Policy(shared.not_created_yet, "the Job does not exist yet"),
    Policy(ends.requeued, "a queue suspended the Job after its first container had started"),
    Policy(ends.admitted_again, "a queue suspended the Job and admitted it again with another number of pods"),
    Policy(shared.lost_node, "a pod hangs in Terminating on a node that does not answer"),
    Policy(ends.lost_pod, "a pod has ended, and the Job is in a queue and would replace it"),
    Policy(ends.found_fewer_nodes, "only some pods have a node, but as many as spec.elastic asks for"),
    Policy(ends.found_no_room, "the pods have found no node for five minutes, and the attempt avoids nodes"),
    Policy(ends.not_started, "spec.startTimeoutSeconds is over and not all pods have run"),
    Policy(ends.tries_more_nodes, "the attempt has worked with fewer nodes for spec.elastic.scaleUpAfterSeconds"),
)

FAILURE_POLICIES: Final[tuple[Policy[RunView, Verdict], ...]] = (
    Policy(failures.exceeded_deadline, "spec.activeDeadlineSeconds is over"),
    Policy(failures.permanent_exit_code, "exit code 64, 65 or 70: another attempt would fail in the same way"),
    Policy(failures.never_starts, "an image name or a Secret that no other pod can find either"),
    Policy(failures.repeated_non_finite_loss, "NaN twice at the same step"),
    Policy(failures.repeated_full_memory, "the GPU's memory full twice after the same step"),
    Policy(failures.too_many_failures, "more failures than spec.backoffLimit; disruptions do not count"),
    Policy(failures.no_progress, "ten attempts in a row without a new checkpoint, disruptions included"),
)

START_POLICIES: Final[tuple[Policy[RunView, RunSituation], ...]] = (
    Policy(starts.suspended, "spec.suspend is true"),
    Policy(starts.waits_for_inputs, "a dataset or a model of spec is not complete yet"),
    Policy(starts.ends_pods, "the Job of the last attempt is in a queue: it stays, but its pods end together"),
    Policy(starts.queued_again, "a queue has suspended the Job of the last attempt and still holds it"),
    Policy(starts.delayed, "the delay after the last attempt is not over"),
    Policy(starts.blocked, "an earlier Job or pod is still there"),
    Policy(starts.released, "the queue has not resumed the Job of the last attempt yet"),
)
