"""CEL rules about changes: what may change once a resource has started, and when.

    at any time             limits, suspend                                    SPEC_FIELDS_THAT_MAY_CHANGE
    while it is at rest     what a longer or resumed training allows           SETTINGS_THAT_MAY_CHANGE
    never                   what the batches or the model depend on            everything else

Immutability is written as `has(a) == has(b) && (!has(a) || a == b)`, because the shorter form with CEL's optional
fields exceeds the API server's cost budget.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from deepsynth_api.crd.pod_rules import Rule

SPEC_FIELDS_THAT_MAY_CHANGE: Final = frozenset(
    {
        "suspend",
        "parallelism",
        "backoffLimit",
        "startTimeoutSeconds",
        "elastic",
        "activeDeadlineSeconds",
        "ttlSecondsAfterFinished",
    }
)
"""At any time."""
SETTINGS_THAT_MAY_CHANGE: Final = (
    "maxSteps",
    "epochs",
    "evaluation",
    "checkpoint",
    "tracking",
    "numNodes",
    "numProcPerNode",
    "resourcesPerNode",
    "image",
    "cache",
    "microBatchSize",
    "gradientCheckpointing",
    "onNonFinite",
    "hangTimeoutSeconds",
)
"""Of a TrainingRun that is suspended or finished: neither the batches nor the model depend on them, or, for the number
of steps, the longer training contains the shorter one."""


def _equal_quantities(field: str) -> str:
    """CEL: two maps of quantities are equal, where 8 equals "8"."""
    new, old = f"self.spec.{field}", f"oldSelf.spec.{field}"
    return (
        f"{new}.size() == {old}.size() && {new}.all(k, k in {old} && "
        f"quantity(string({new}[k])) == quantity(string({old}[k])))"
    )


def _same(field: str, equal: str = "") -> str:
    new, old = f"self.spec.{field}", f"oldSelf.spec.{field}"
    return f"has({new}) == has({old}) && (!has({new}) || {equal or f'{new} == {old}'})"


QUANTITY_RULES: Final[Mapping[str, str]] = {
    "resourcesPerNode": (
        "has(self.spec.resourcesPerNode) == has(oldSelf.spec.resourcesPerNode) && (!has(self.spec.resourcesPerNode) || "
        f"({_same('resourcesPerNode.limits', _equal_quantities('resourcesPerNode.limits'))}) && "
        f"({_same('resourcesPerNode.requests', _equal_quantities('resourcesPerNode.requests'))}))"
    ),
    "cache": (
        "has(self.spec.cache) == has(oldSelf.spec.cache) && (!has(self.spec.cache) || "
        "(quantity(string(self.spec.cache.sizeLimit)) == quantity(string(oldSelf.spec.cache.sizeLimit)) && "
        f"({_same('cache.uri')}) && ({_same('cache.stream')}) && ({_same('cache.features')})))"
    ),
}


_NOT_STARTED: Final = "!has(oldSelf.status) || !has(oldSelf.status.startTime)"
_UPDATED: Final = "status.progress.updatedTime"
_IS_STATUS_WRITE: Final = (
    "has(self.status.state) && has(oldSelf.status.state) && self.status.state != oldSelf.status.state || "
    "has(self.status.progress) && has(oldSelf.status.progress) && "
    f"has(self.{_UPDATED}) && has(oldSelf.{_UPDATED}) && self.{_UPDATED} != oldSelf.{_UPDATED}"
)
"""Of most writes of status. Those leave spec as it is, and a change of spec leaves status as it is."""
_AT_REST: Final = "oldSelf.spec.suspend || has(oldSelf.status.completionTime)"
_REMEDIES: Final = {
    "DatasetGeneration": "create a new DatasetGeneration with another name",
    "TrainingRun": (
        "create a new TrainingRun with another name, which may start from a checkpoint of this one "
        "(model.trainingRunRef)"
    ),
}


def _get(of: str, field: str, default: str) -> str:
    """CEL: the value of a field of spec.evaluation, or the default where it is not set."""
    return (
        f"(has({of}.spec.evaluation) && has({of}.spec.evaluation.{field}) ? {of}.spec.evaluation.{field} : {default})"
    )


def _best_metric(of: str) -> str:
    """CEL: the metric that ranks the checkpoints."""
    early = f"{of}.spec.evaluation.earlyStopping"
    fallback = f"(has({of}.spec.evaluation) && has({early}) && has({early}.metric) ? {early}.metric : 'loss')"
    return _get(of, "bestMetric", fallback)


def _epochs(of: str) -> str:
    return f"(has({of}.spec.epochs) ? {of}.spec.epochs : 1)"


_TRAINED_EPOCHS: Final = "oldSelf.status.progress.epoch"

_CONTINUATION: Final = {
    f"spec.checkpoint.uri cannot change once the TrainingRun has started; {_REMEDIES['TrainingRun']}": (
        "self.spec.checkpoint.uri == oldSelf.spec.checkpoint.uri"
    ),
    "spec.evaluation.holdoutPercent cannot change once the TrainingRun has started, because the batches depend on "
    f"it; {_REMEDIES['TrainingRun']}": (
        f"{_get('self', 'holdoutPercent', '2')} == {_get('oldSelf', 'holdoutPercent', '2')}"
    ),
    "spec.evaluation.bestMetric (default: earlyStopping.metric, else loss) must stay as it was once the "
    "TrainingRun has started, because it ranks the checkpoints; set it to its earlier value": (
        f"{_best_metric('self')} == {_best_metric('oldSelf')}"
    ),
    "spec.maxSteps must be at least status.savedStep, because those steps are trained already; to start from an "
    "earlier checkpoint, create a new TrainingRun (model.trainingRunRef)": (
        "!has(self.spec.maxSteps) || !has(oldSelf.status.savedStep) || "
        "(has(oldSelf.spec.maxSteps) && self.spec.maxSteps == oldSelf.spec.maxSteps) || "
        "self.spec.maxSteps >= oldSelf.status.savedStep"
    ),
    "spec.epochs must be at least status.progress.epoch, because those epochs are trained already; to start from "
    "an earlier checkpoint, create a new TrainingRun (model.trainingRunRef)": (
        f"has(self.spec.maxSteps) || !has(oldSelf.status.progress) || !has({_TRAINED_EPOCHS}) || "
        f"{_TRAINED_EPOCHS} == '' || (!has(oldSelf.spec.maxSteps) && {_epochs('self')} == {_epochs('oldSelf')}) || "
        f"double({_epochs('self')}) >= double({_TRAINED_EPOCHS})"
    ),
}
"""What is said -> the condition that does not hold then, where a setting of a TrainingRun may change."""


def build_change_rule(kind: str, fields: Iterable[str]) -> Rule:
    """What may change of these fields of spec once status.startTime is set: nothing, some at rest, or all of it.

    One rule for all of them, which asks first what is cheap to know: the API server evaluates each rule at each write
    of status, and a rule for each field made such a write cost three times as much (docs/operations/scale.md).
    """
    at_rest = SETTINGS_THAT_MAY_CHANGE if kind == "TrainingRun" else ()
    kept = {
        field: QUANTITY_RULES.get(field) or _same(field) for field in fields if field not in SPEC_FIELDS_THAT_MAY_CHANGE
    }
    fixed = {f"spec.{field}": same for field, same in kept.items() if field not in at_rest}
    resting = {f"spec.{field}": f"{_AT_REST} || ({same})" for field, same in kept.items() if field in at_rest}
    continuation = _CONTINUATION if kind == "TrainingRun" else {}
    groups = (
        (fixed, f"cannot change once the {kind} has started; {_REMEDIES[kind]}. "),
        (resting, f"may only change while the {kind} is suspended or finished; set spec.suspend to true first. "),
        (continuation, ""),
    )
    conditions = " && ".join(f"({condition})" for fields, _ in groups for condition in fields.values())
    return Rule(
        path="",
        rule=f"{_IS_STATUS_WRITE} || self.spec == oldSelf.spec || {_NOT_STARTED} || ({conditions})",
        message=f"spec cannot change in this way once the {kind} has started; {_REMEDIES[kind]}",
        field=".spec",
        message_expression=" + ".join(_describe(*group) for group in groups if group[0]),
    )


def _describe(conditions: Mapping[str, str], after: str) -> str:
    """CEL: the texts whose condition does not hold, and what is said about them; an empty text where all hold.

    Only conditions and sums of texts: the API server's estimate of what lists and join() cost exceeds its budget.
    """
    texts = " + ".join(f"(({condition}) ? '' : '{text} ')" for text, condition in conditions.items())
    hold = " && ".join(f"({condition})" for condition in conditions.values())
    return f"({hold} ? '' : {texts} + '{after}')"
