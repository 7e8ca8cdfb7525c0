"""CEL rules of the CRDs: what one field's schema cannot say. Each message names the field and the remedy.

Immutability uses has(a) == has(b) && (!has(a) || a == b): the form with ? exceeds the API server's cost budget.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SPEC_FIELDS_THAT_MAY_CHANGE: Final = frozenset(
    {
        "suspend",
        "parallelism",
        "backoffLimit",
        "startTimeoutSeconds",
        "activeDeadlineSeconds",
        "ttlSecondsAfterFinished",
    }
)


@dataclass(frozen=True)
class Rule:
    """path: dotted path of the schema the rule stands on, [] for list items. field: fieldPath relative to it."""

    path: str
    rule: str
    message: str
    field: str = ""

    def to_dict(self) -> dict[str, str]:
        entry = {"rule": self.rule, "message": self.message}
        return {**entry, "fieldPath": self.field} if self.field else entry


def _equal_quantities(field: str) -> str:
    """CEL: two maps of quantities are equal, 8 and "8" being the same."""
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
        "quantity(string(self.spec.cache.sizeLimit)) == quantity(string(oldSelf.spec.cache.sizeLimit)))"
    ),
}


def build_immutability_rule(field: str, kind: str) -> Rule:
    """Once status.startTime is set, spec.`field` stays as it is."""
    same = QUANTITY_RULES.get(field) or _same(field)
    return Rule(
        path="",
        rule=f"!has(oldSelf.status) || !has(oldSelf.status.startTime) || ({same})",
        message=f"spec.{field} is fixed once the {kind} has started; create another {kind} with a new name",
        field=".spec",
    )


_TEMPLATE_RULES: Final = (
    Rule(
        "spec.template.volumes[]",
        "[has(self.persistentVolumeClaim), has(self.configMap), has(self.secret), has(self.emptyDir), "
        "has(self.csi), has(self.ephemeral)].filter(is_set, is_set).size() == 1",
        "set exactly one of persistentVolumeClaim, configMap, secret, emptyDir, csi and ephemeral",
    ),
    Rule(
        "spec.template.volumes[]",
        "!['/', '/etc/deepsynth', '/mnt/volumes', '/var/cache/deepsynth', '/tmp', '/dev', '/dev/shm']"
        ".exists(taken, self.mountPath == taken || self.mountPath == taken + '/')",
        "mountPath is used by DeepSynth itself; choose another folder",
        ".mountPath",
    ),
    Rule(
        "spec.template.env[]",
        "!self.name.startsWith('DEEPSYNTH_') && !self.name.startsWith('PET_') && "
        "!self.name.startsWith('TORCHELASTIC_') && !(self.name in ['JOB_COMPLETION_INDEX', 'MASTER_ADDR', "
        "'MASTER_PORT', 'RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'LOCAL_WORLD_SIZE'])",
        "name is reserved: the launcher sets it; choose another name",
        ".name",
    ),
)

DATASET_GENERATION_RULES: Final = (
    Rule("spec", "has(self.preset) != has(self.source)", "set exactly one of preset and source"),
    Rule(
        "spec.filters",
        "!has(self.maxTextChars) || self.minTextChars <= self.maxTextChars",
        "maxTextChars must not be below minTextChars",
        ".maxTextChars",
    ),
    Rule(
        "spec.filters",
        "!has(self.maxSummaryChars) || self.minSummaryChars <= self.maxSummaryChars",
        "maxSummaryChars must not be below minSummaryChars",
        ".maxSummaryChars",
    ),
    Rule(
        "spec.source",
        "self.uri.startsWith('hf://') || (!has(self.revision) && !has(self.config))",
        "revision and config belong to a source on the Hub (hf://datasets/OWNER/NAME); remove them",
        ".uri",
    ),
    Rule(
        "spec.page",
        "double(self.lineHeight) >= 0.8 && double(self.lineHeight) <= 4.0",
        "lineHeight must be between 0.8 and 4.0",
        ".lineHeight",
    ),
    *_TEMPLATE_RULES,
)

TRAINING_RUN_RULES: Final = (
    Rule("spec", "!(has(self.epochs) && has(self.maxSteps))", "set epochs or maxSteps, not both", ".epochs"),
    Rule(
        "spec",
        "self.globalBatchSize >= self.microBatchSize",
        "globalBatchSize must not be below microBatchSize",
        ".globalBatchSize",
    ),
    Rule(
        "spec",
        "!has(self.publish) || self.publish.format != 'adapter' || has(self.model.lora)",
        "format adapter needs model.lora; set model.lora or format merged",
        ".publish",
    ),
    Rule(
        "spec",
        "!has(self.template) || !has(self.template.resources)",
        "set resources in resourcesPerNode, not in template.resources",
        ".template",
    ),
    Rule(
        "spec.model",
        "(has(self.uri) && self.uri != '') != has(self.trainingRunRef)",
        "set exactly one of uri and trainingRunRef",
    ),
    Rule(
        "spec.optimizer",
        "!(has(self.warmupSteps) && has(self.warmupRatio))",
        "set warmupSteps or warmupRatio, not both",
        ".warmupRatio",
    ),
    Rule("spec.optimizer", "double(self.learningRate) > 0.0", "learningRate must be above 0", ".learningRate"),
    Rule("spec.optimizer", "self.betas.all(beta, double(beta) < 1.0)", "betas must be below 1", ".betas"),
    Rule(
        "spec.datasets[]",
        "has(self.datasetGenerationRef) != has(self.uri)",
        "set exactly one of datasetGenerationRef and uri",
    ),
    Rule(
        "spec.datasets[]",
        "!has(self.revision) || has(self.uri)",
        "revision goes with uri; a datasetGenerationRef is pinned to what was published",
        ".revision",
    ),
    Rule(
        "spec.datasets[]", "double(self.weight) > 0.0", "weight must be above 0; remove the dataset instead", ".weight"
    ),
    Rule(
        "spec.tracking[]",
        "[has(self.tensorboard), has(self.wandb), has(self.mlflow)].filter(is_set, is_set).size() == 1",
        "set exactly one of tensorboard, wandb and mlflow",
    ),
    *_TEMPLATE_RULES,
)
