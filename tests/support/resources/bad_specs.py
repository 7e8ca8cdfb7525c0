"""Invalid resources, with parts of the message that rejects them: by the API server and by `deepsynth local` alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["TrainingRun", "DatasetGeneration"]
Patch = Mapping[str, Any]

_START: Final = {"startTime": "2026-01-02T03:04:05Z"}
STARTED: Final[Mapping[Kind, dict[str, Any]]] = {
    "TrainingRun": {
        **_START,
        "state": "Running",
        "savedStep": 20,
        "progress": {"step": 20, "totalSteps": 40, "epoch": "1.50", "updatedTime": "2026-01-01T00:10:00Z"},
    },
    "DatasetGeneration": _START,
}

VALID: Final[Mapping[Kind, dict[str, Any]]] = {
    "TrainingRun": {
        "apiVersion": "deepsynth.io/v1alpha1",
        "kind": "TrainingRun",
        "metadata": {"name": "refused"},
        "spec": {
            "model": {"uri": "hf://deepseek-community/DeepSeek-OCR-2"},
            "datasets": [{"name": "xsum", "datasetGenerationRef": {"name": "xsum"}}],
            "numNodes": 2,
            "maxSteps": 40,
            "resourcesPerNode": {"limits": {"nvidia.com/gpu": 8}},
            "checkpoint": {"uri": "pvc://checkpoints/read-xsum"},
            "suspend": True,
        },
    },
    "DatasetGeneration": {
        "apiVersion": "deepsynth.io/v1alpha1",
        "kind": "DatasetGeneration",
        "metadata": {"name": "refused"},
        "spec": {"preset": "xsum", "output": {"uri": "pvc://pages/xsum"}, "suspend": True},
    },
}

RUNNING: Final[Patch] = {"metadata": {"name": "running"}, "spec": {"suspend": False}}

SPREAD: Final = {"topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 1}


@dataclass(frozen=True)
class BadSpec:
    """patch: merged into the valid resource of its kind; None removes a field, a list replaces one.

    field: the field that the message names. remedy: part of the message that says what to do.
    has_started: the valid resource exists and has a startTime; the invalid one is an update of it.
    is_running: it is not suspended.
    """

    sentence: str
    kind: Kind
    patch: Patch
    field: str
    remedy: str
    has_started: bool = False
    is_running: bool = False

    def build(self) -> dict[str, Any]:
        return merge(self.build_old(), self.patch)

    def build_old(self) -> dict[str, Any]:
        """The valid resource."""
        return merge(VALID[self.kind], RUNNING if self.is_running else {})


def merge(target: Mapping[str, Any], patch: Patch) -> dict[str, Any]:
    """A JSON merge patch (RFC 7386)."""
    merged = {key: value for key, value in target.items() if patch.get(key, ...) is not None}
    for key, value in patch.items():
        if isinstance(value, Mapping):
            below = merged.get(key)
            merged[key] = merge(below if isinstance(below, Mapping) else {}, value)
        elif value is not None:
            merged[key] = value
    return merged


def a_run(sentence: str, spec: Patch, path: str, remedy: str) -> BadSpec:
    return BadSpec(sentence, "TrainingRun", {"spec": spec}, path, remedy)


def a_generation(sentence: str, spec: Patch, path: str, remedy: str) -> BadSpec:
    return BadSpec(sentence, "DatasetGeneration", {"spec": spec}, path, remedy)


def a_dataset(sentence: str, dataset: Patch, path: str, remedy: str) -> BadSpec:
    """A run on a single dataset."""
    return a_run(sentence, {"datasets": [dataset]}, path, remedy)


def a_template(sentence: str, template: Patch, path: str, remedy: str) -> BadSpec:
    """A generation with these settings of its pods."""
    return a_generation(sentence, {"template": template}, f"spec.template.{path}", remedy)


def a_spread(sentence: str, constraint: Patch, path: str, remedy: str) -> BadSpec:
    """A generation whose pods are spread in this way."""
    template = {"topologySpreadConstraints": [SPREAD | dict(constraint)]}
    return a_template(sentence, template, f"topologySpreadConstraints[0]{path}", remedy)


def a_change(sentence: str, kind: Kind, spec: Patch, path: str) -> BadSpec:
    """A change of a resource that has started."""
    remedy = f"cannot change once the {kind} has started; create a new {kind} with another name"
    return BadSpec(sentence, kind, {"spec": spec}, path, remedy, has_started=True)


def a_running_change(sentence: str, spec: Patch, path: str) -> BadSpec:
    """A change of a run that is neither suspended nor finished."""
    remedy = f"{path} may only change while the TrainingRun is suspended or finished; set spec.suspend to true first"
    return BadSpec(sentence, "TrainingRun", {"spec": spec}, path, remedy, has_started=True, is_running=True)


def a_wrong_continuation(sentence: str, spec: Patch, path: str, remedy: str) -> BadSpec:
    """A change of a suspended run that would make its training meaningless."""
    return BadSpec(sentence, "TrainingRun", {"spec": spec}, path, remedy, has_started=True)


_FRAME: Final = (
    BadSpec("a name in capitals", "TrainingRun", {"metadata": {"name": "Read_XSum"}}, "metadata.name", "lower case"),
    BadSpec(
        "a name that ends with a dash", "DatasetGeneration", {"metadata": {"name": "a-"}}, "metadata.name", "lower"
    ),
    BadSpec(
        "a name of 254 characters", "TrainingRun", {"metadata": {"name": "a" * 254}}, "metadata.name", "more than 253"
    ),
    BadSpec("no spec", "TrainingRun", {"spec": None}, "spec", "Required value"),
    BadSpec("a label that is a number", "TrainingRun", {"metadata": {"labels": {"team": 7}}}, "labels", "string"),
)

_UNKNOWN: Final = (
    a_run("a field that is misspelt", {"precison": "bf16"}, "spec.precison", "unknown field"),
    a_run("a field in snake case", {"num_nodes": 2}, "spec.num_nodes", "unknown field"),
    a_run("a field one level too high", {"learningRate": "0.1"}, "spec.learningRate", "unknown field"),
    a_dataset(
        "a field of an item", {"name": "a", "uri": "pvc://a", "split": "x"}, "spec.datasets[0].split", "unknown field"
    ),
    a_generation("a field of another kind", {"epochs": 1}, "spec.epochs", "unknown field"),
    a_template("a part of a pod that is the operator's", {"hostNetwork": True}, "hostNetwork", "unknown field"),
    a_template(
        "a kind of volume that reaches the node",
        {"volumes": [{"name": "host", "mountPath": "/host", "hostPath": {"path": "/"}}]},
        "volumes[0].hostPath",
        "unknown field",
    ),
)

_TYPES: Final = (
    a_run(
        "a number where a string is",
        {"optimizer": {"learningRate": 1e-4}},
        "spec.optimizer.learningRate",
        "of type string",
    ),
    a_run("a string where a number is", {"epochs": "3"}, "spec.epochs", "of type integer"),
    a_run("half a node", {"numNodes": 1.5}, "spec.numNodes", "of type integer"),
    a_run("a string where true or false is", {"compile": "yes"}, "spec.compile", "of type boolean"),
    a_run("a word where a list is", {"datasets": "xsum"}, "spec.datasets", "of type array"),
    a_run("a list as a quantity", {"cache": {"sizeLimit": ["1Gi"]}}, "spec.cache.sizeLimit", "string"),
    a_generation("a number as a page size", {"page": {"size": 1024}}, "spec.page.size", "of type string"),
)

_MISSING: Final = (
    a_run("no model", {"model": None}, "spec.model", "Required value"),
    a_run("no datasets", {"datasets": []}, "spec.datasets", "at least 1 items"),
    a_run("no checkpoint", {"checkpoint": None}, "spec.checkpoint", "Required value"),
    a_run("an output without a place", {"publish": {"private": True}}, "spec.publish.uri", "Required value"),
    a_dataset("a dataset without a name", {"uri": "pvc://data/pages"}, "spec.datasets[0].name", "Required value"),
    a_generation("no output", {"output": None}, "spec.output", "Required value"),
)

_RANGES: Final = (
    a_run("no nodes", {"numNodes": 0}, "spec.numNodes", "greater than or equal to 1"),
    a_run("too many nodes", {"numNodes": 5000}, "spec.numNodes", "less than or equal to 1024"),
    a_run(
        "more than all samples dropped",
        {"maxDroppedPercent": 101},
        "spec.maxDroppedPercent",
        "less than or equal to 100",
    ),
    a_run(
        "seconds beyond any calendar",
        {"activeDeadlineSeconds": 10**15},
        "spec.activeDeadlineSeconds",
        "less than or equal to",
    ),
    a_run("a negative seed", {"seed": -1}, "spec.seed", "greater than or equal to 0"),
    a_run("one decay rate", {"optimizer": {"betas": ["0.9"]}}, "spec.optimizer.betas", "at least 2 items"),
    a_run("a prompt beyond its bound", {"prompt": "x" * 5000}, "spec.prompt", "may not be more than 4096"),
    a_generation(
        "a font too small to read", {"page": {"fontSizesPx": [2]}}, "spec.page.fontSizesPx[0]", "or equal to 6"
    ),
    a_generation("three columns", {"page": {"columns": 3}}, "spec.page.columns", "less than or equal to 2"),
    a_generation("a shard of a byte", {"output": {"maxShardBytes": 1}}, "spec.output.maxShardBytes", "or equal to 1"),
)

_ENUMS: Final = (
    a_run("a precision that does not exist", {"precision": "bf17"}, "spec.precision", '"bf16", "fp16", "fp32"'),
    a_run("a task that does not exist", {"task": "translate"}, "spec.task", '"summarize", "ocr"'),
    a_run("a part of no model", {"model": {"freeze": ["ears"]}}, "spec.model.freeze[0]", '"vision", "language"'),
    a_generation("a preset that does not exist", {"preset": "xsun"}, "spec.preset", '"xsum"'),
)

_URIS: Final = (
    a_run("a scheme nobody knows", {"publish": {"uri": "ftp://x"}}, "spec.publish.uri", "must be hf://OWNER/NAME"),
    a_run("a model on the web", {"model": {"uri": "https://x/y"}}, "spec.model.uri", "must be hf://OWNER/NAME"),
    a_run(
        "a small model of no known name", {"model": {"uri": "config://gpt"}}, "spec.model.uri", "config://vit-gpt2-tiny"
    ),
    a_run("checkpoints on the Hub", {"checkpoint": {"uri": "hf://a/b"}}, "spec.checkpoint.uri", "the Hub cannot"),
    a_run(
        "a key in the URI of checkpoints",
        {"checkpoint": {"uri": "s3://key@a-b/c"}},
        "spec.checkpoint.uri",
        "in the Secret of secretRef",
    ),
    a_run(
        "event files on the Hub",
        {"tracking": [{"tensorboard": {"uri": "hf://a/b"}}]},
        "spec.tracking[0].tensorboard.uri",
        "pvc://CLAIM/PATH",
    ),
    a_run(
        "a key in a URI",
        {"model": {"uri": "s3://key:secret@models/ocr"}},
        "spec.model.uri",
        "credentials, which belong in the Secret of secretRef",
    ),
    a_generation(
        "a signature in a URI",
        {"output": {"uri": "az://pages/x?sv=2024&sig=secret"}},
        "spec.output.uri",
        "credentials, which belong in the Secret of secretRef",
    ),
    a_run(
        "a bucket on the Hub without its owner",
        {"checkpoint": {"uri": "hf://buckets/runs"}},
        "spec.checkpoint.uri",
        "hf://buckets/OWNER/NAME/PATH",
    ),
    a_generation(
        "a commit of a bucket on the Hub",
        {"preset": None, "source": {"uri": "hf://buckets/me/texts/a.jsonl", "revision": "main"}},
        "spec.source.uri",
        "revision is only for a source on the Hub (hf://datasets/OWNER/NAME)",
    ),
    a_generation("a bucket in capitals", {"output": {"uri": "s3://Pages/x"}}, "spec.output.uri", "s3://BUCKET/PATH"),
    a_dataset(
        "a way out of a prefix",
        {"name": "a", "uri": "gs://pages/../x"},
        "spec.datasets[0].uri",
        "without '..'",
    ),
    a_run(
        "a claim in capitals",
        {"checkpoint": {"uri": "pvc://Data/x"}},
        "spec.checkpoint.uri",
        "pvc://CLAIM/PATH",
    ),
    a_run("no claim", {"checkpoint": {"uri": "pvc:///x"}}, "spec.checkpoint.uri", "pvc://CLAIM/PATH"),
    a_run(
        "a way out of the volume", {"checkpoint": {"uri": "pvc://a/../../etc"}}, "spec.checkpoint.uri", "without '..'"
    ),
    a_run("a relative path", {"checkpoint": {"uri": "file://here"}}, "spec.checkpoint.uri", "file:///PATH"),
    a_dataset(
        "a dataset that is a model",
        {"name": "a", "uri": "hf://a/b"},
        "spec.datasets[0].uri",
        "hf://datasets/OWNER/NAME",
    ),
    a_generation("an output without an owner", {"output": {"uri": "hf://datasets/x"}}, "spec.output.uri", "OWNER/NAME"),
    a_generation(
        "a font on the web",
        {"fonts": [{"name": "A", "uri": "https://x/a.ttf"}]},
        "spec.fonts[0].uri",
        "hf://OWNER/NAME",
    ),
    a_generation("a line break in a URI", {"output": {"uri": "pvc://a/b\nc"}}, "spec.output.uri", "pvc://CLAIM/PATH"),
)

_FORMS: Final = (
    a_run(
        "a word as a number", {"optimizer": {"learningRate": "fast"}}, "spec.optimizer.learningRate", "must be a number"
    ),
    a_run("a negative rate", {"optimizer": {"learningRate": "-1"}}, "spec.optimizer.learningRate", "at least 0"),
    a_run(
        "a number no computer holds", {"optimizer": {"weightDecay": "1e999"}}, "spec.optimizer.weightDecay", "such as"
    ),
    a_run("a share above one", {"optimizer": {"warmupRatio": "1.5"}}, "spec.optimizer.warmupRatio", "from 0 to 1"),
    a_run("a revision with a space", {"model": {"revision": "my branch"}}, "spec.model.revision", "without spaces"),
    a_run("an image with a space", {"image": "my image:1"}, "spec.image", "must be a container image"),
    a_run("an image without a name", {"image": ""}, "spec.image", "must be a container image"),
    a_dataset(
        "a dataset's name in capitals", {"name": "XSum", "uri": "pvc://a"}, "spec.datasets[0].name", "lower case"
    ),
    a_dataset(
        "a reference that cannot be a name",
        {"name": "a", "datasetGenerationRef": {"name": "../x"}},
        "spec.datasets[0].datasetGenerationRef.name",
        "letters, digits",
    ),
    a_generation(
        "a name of a font with markup",
        {"fonts": [{"name": "<b>", "uri": "pvc://a"}]},
        "spec.fonts[0].name",
        "must be a family name",
    ),
    a_generation(
        "an axis in words",
        {"fonts": [{"name": "A", "uri": "pvc://a", "axes": {"wght": "bold"}}]},
        "spec.fonts[0].axes",
        "must be a number in quotes",
    ),
    a_generation("a page of words", {"page": {"size": "letter"}}, "spec.page.size", "WIDTHxHEIGHT"),
    a_generation("a page of a line break", {"page": {"size": "512\n"}}, "spec.page.size", "WIDTHxHEIGHT"),
    a_generation(
        "a secret with a path",
        {"output": {"secretRef": {"name": "a/b"}}},
        "spec.output.secretRef.name",
        "letters, digits",
    ),
    a_generation(
        "a split with a path",
        {"preset": None, "source": {"uri": "pvc://a", "splits": ["../train"]}},
        "spec.source.splits[0]",
        "name of a split",
    ),
)

_QUANTITIES: Final = (
    a_run(
        "a number of GPUs in words",
        {"resourcesPerNode": {"limits": {"nvidia.com/gpu": "eight"}}},
        "spec.resourcesPerNode.limits",
        "such as 8, 500m or 40Gi",
    ),
    a_run(
        "half a GPU",
        {"resourcesPerNode": {"limits": {"nvidia.com/gpu": "500m"}}},
        "spec.resourcesPerNode.limits",
        "must be integers",
    ),
    a_run(
        "a GPU without its domain",
        {"resourcesPerNode": {"limits": {"gpu": 8}}},
        "spec.resourcesPerNode.limits",
        "nvidia.com/gpu",
    ),
    a_run(
        "a device with a space",
        {"resourcesPerNode": {"limits": {"rdma/my hca": 1}}},
        "spec.resourcesPerNode.limits",
        "must name devices as DOMAIN/NAME",
    ),
    a_run(
        "a device named as in a quota",
        {"resourcesPerNode": {"limits": {"requests.nvidia.com/gpu": 1}}},
        "spec.resourcesPerNode.limits",
        "must name devices as DOMAIN/NAME",
    ),
    a_run(
        "less than no memory",
        {"resourcesPerNode": {"limits": {"memory": "-1Gi"}}},
        "spec.resourcesPerNode.limits",
        "at least 0",
    ),
    a_run(
        "more requested than allowed",
        {"resourcesPerNode": {"limits": {"memory": "1Gi"}, "requests": {"memory": "2Gi"}}},
        "spec.resourcesPerNode.requests",
        "must be at most limits",
    ),
    a_run(
        "GPUs requested without a limit",
        {"resourcesPerNode": {"limits": None, "requests": {"nvidia.com/gpu": 1}}},
        "spec.resourcesPerNode.requests",
        "set only the limit",
    ),
    a_run("more processes than GPUs", {"numProcPerNode": 16}, "spec.numProcPerNode", "nvidia.com/gpu"),
    a_run(
        "features of no size",
        {"cache": {"features": {"sizeLimit": 0}}},
        "spec.cache.features.sizeLimit",
        "such as 20Gi",
    ),
    a_run("features on the Hub", {"cache": {"features": {"uri": "hf://a/b"}}}, "spec.cache.features.uri", "pvc://"),
    a_run("a cache on the Hub", {"cache": {"uri": "hf://a/b"}}, "spec.cache.uri", "pvc://"),
    a_run("a cache of nothing", {"cache": {"sizeLimit": 0}}, "spec.cache.sizeLimit", "such as 50Gi"),
    a_template("a unit nobody knows", {"resources": {"limits": {"memory": "2Gb"}}}, "resources.limits", "40Gi"),
)

_RULES: Final = (
    a_run("epochs and steps", {"epochs": 1, "maxSteps": 2}, "spec.epochs", "set epochs or maxSteps, not both"),
    a_run("a model from nowhere", {"model": {"uri": ""}}, "spec.model", "set exactly one of uri and trainingRunRef"),
    a_run(
        "a model from two places", {"model": {"trainingRunRef": {"name": "a"}}}, "spec.model", "set exactly one of uri"
    ),
    a_run(
        "a micro-batch above the batch",
        {"globalBatchSize": 1, "microBatchSize": 2},
        "spec.globalBatchSize",
        "at least microBatchSize",
    ),
    a_run("more nodes at least than at most", {"elastic": {"minNodes": 3}}, "spec.elastic", "at most numNodes"),
    a_run("no node at least", {"elastic": {"minNodes": 0}}, "spec.elastic.minNodes", "greater than or equal to 1"),
    a_run("a micro-batch of nothing", {"microBatchSize": 0}, "spec.microBatchSize", "or auto"),
    a_run("a micro-batch in quotes", {"microBatchSize": "8"}, "spec.microBatchSize", "without quotes"),
    a_run(
        "two warm-ups",
        {"optimizer": {"warmupSteps": 1, "warmupRatio": "0.1"}},
        "spec.optimizer.warmupRatio",
        "not both",
    ),
    a_run(
        "more local tiles than a model reads",
        {"imageProcessor": {"maxTiles": 33}},
        "spec.imageProcessor.maxTiles",
        "less than or equal to 32",
    ),
    a_run(
        "a best metric that is not computed",
        {"evaluation": {"bestMetric": "cer"}},
        "spec.evaluation.bestMetric",
        "must",
    ),
    a_run(
        "an early end by a metric that is not computed",
        {"evaluation": {"earlyStopping": {"metric": "wer", "patience": 2}}},
        "spec.evaluation.earlyStopping",
        "must also be in metrics",
    ),
    a_run(
        "an early end without patience",
        {"evaluation": {"earlyStopping": {"patience": 0}}},
        "spec.evaluation.earlyStopping.patience",
        "greater than or equal to 1",
    ),
    a_run(
        "an early end without the best checkpoint",
        {"evaluation": {"earlyStopping": {"patience": 2}}, "checkpoint": {"keepBest": False}},
        "spec.checkpoint",
        "keepBest must be true",
    ),
    a_run("a rate of zero", {"optimizer": {"learningRate": "0"}}, "spec.optimizer.learningRate", "above 0"),
    a_run("a moment that never decays", {"optimizer": {"betas": ["0.9", "1"]}}, "spec.optimizer.betas", "below 1"),
    a_run(
        "an adapter of a model that has none",
        {"publish": {"uri": "hf://a/b", "format": "adapter"}},
        "spec.publish",
        "set format to merged",
    ),
    a_run(
        "two trackers in one",
        {"tracking": [{"tensorboard": {"uri": "pvc://a"}, "wandb": {"project": "a"}}]},
        "spec.tracking[0]",
        "set exactly one of tensorboard, wandb and mlflow",
    ),
    a_run(
        "resources in the template",
        {"template": {"resources": {"limits": {"cpu": 1}}}},
        "spec.template",
        "resourcesPerNode",
    ),
    a_dataset(
        "a dataset from nowhere", {"name": "a"}, "spec.datasets[0]", "set exactly one of datasetGenerationRef and uri"
    ),
    a_dataset(
        "a revision of a reference",
        {"name": "a", "datasetGenerationRef": {"name": "a"}, "revision": "b"},
        "spec.datasets[0].revision",
        "revision is only for uri",
    ),
    a_dataset("no weight", {"name": "a", "uri": "pvc://a", "weight": "0"}, "spec.datasets[0].weight", "remove it"),
    a_generation(
        "a preset and a source", {"source": {"uri": "docstrings://"}}, "spec", "exactly one of preset and source"
    ),
    a_generation("neither preset nor source", {"preset": None}, "spec", "exactly one of preset and source"),
    a_generation(
        "bounds crossed",
        {"filters": {"minTextChars": 9, "maxTextChars": 5}},
        "spec.filters.maxTextChars",
        "at least minTextChars",
    ),
    a_generation(
        "boxes of marks that are not drawn",
        {"page": {"boxes": "words", "format": "markdown"}},
        "spec.page.boxes",
        "none with format markdown",
    ),
    a_generation(
        "pages that stand on their side",
        {"page": {"augmentation": {"skewDegrees": "90"}}},
        "spec.page.augmentation.skewDegrees",
        "at most 3",
    ),
    a_generation(
        "letters that nobody can read",
        {"page": {"fontSizesPx": [18, 9], "augmentation": {"blurPx": "1"}}},
        "spec.page.augmentation.blurPx",
        "a tenth of the smallest of fontSizesPx",
    ),
    a_generation(
        "a font that is not there",
        {"page": {"fontFamilies": ["DejaVu Sans", "Arial"]}, "fonts": [{"name": "Mine", "uri": "pvc://a"}]},
        "spec.page.fontFamilies",
        "must be among DejaVu Sans, ",
    ),
    a_generation(
        "a font in place of a bundled one",
        {"fonts": [{"name": "Noto Serif", "uri": "pvc://a"}]},
        "spec.fonts[0].name",
        "must not be that of a family that DeepSynth brings",
    ),
    a_generation(
        "a revision of a font in a folder",
        {"fonts": [{"name": "A", "uri": "pvc://a", "revision": "main"}]},
        "spec.fonts[0].revision",
        "remove it",
    ),
    a_generation("lines that overlap", {"page": {"lineHeight": "0.5"}}, "spec.page.lineHeight", "between 0.8 and 4.0"),
    a_generation(
        "tab stops in collapsed blanks",
        {"page": {"tabStopEms": 4, "whitespace": "collapse"}},
        "spec.page.tabStopEms",
        "requires format plain and whitespace keep",
    ),
    a_generation(
        "Markdown with hyphens",
        {"page": {"format": "markdown", "hyphenation": "en"}},
        "spec.page.format",
        "hyphenation are for format plain",
    ),
    a_generation(
        "a language that is a sentence", {"page": {"hyphenation": "all of them"}}, "spec.page.hyphenation", "such as en"
    ),
    a_generation(
        "shrinking without a limit",
        {"page": {"fit": {"mode": "shrink"}}},
        "spec.page.fit.maxShrinkPercent",
        "set maxShrinkPercent with mode shrink",
    ),
    a_generation(
        "a limit of shrinking for balanced pages",
        {"page": {"fit": {"mode": "balance", "maxShrinkPercent": 10}}},
        "spec.page.fit.maxShrinkPercent",
        "set maxShrinkPercent with mode shrink",
    ),
    a_generation(
        "compression without a target",
        {"page": {"fit": {"mode": "compression"}}},
        "spec.page.fit.textTokensPerImageToken",
        "set textTokensPerImageToken with mode compression",
    ),
    a_generation(
        "compression to nothing",
        {"page": {"fit": {"mode": "compression", "textTokensPerImageToken": "0"}}},
        "spec.page.fit.textTokensPerImageToken",
        "between 0.1 and 50",
    ),
    a_generation(
        "blanks that Markdown needs",
        {"page": {"format": "markdown", "whitespace": "collapse"}},
        "spec.page.whitespace",
        "must be keep with format markdown",
    ),
    a_generation(
        "a revision of a folder",
        {"preset": None, "source": {"uri": "pvc://a", "revision": "main"}},
        "spec.source.uri",
        "remove it",
    ),
    a_generation(
        "one configuration and several",
        {"preset": None, "source": {"uri": "pvc://a", "config": "de", "configs": ["fr"]}},
        "spec.source.configs",
        "not both",
    ),
    a_generation(
        "all configurations and one",
        {"preset": None, "source": {"uri": "pvc://a", "configs": ["de", "*"]}},
        "spec.source.configs",
        "alone",
    ),
    a_generation(
        "configurations of docstrings",
        {"preset": None, "source": {"uri": "docstrings://", "configs": ["de"]}},
        "spec.source.configs",
        "remove it",
    ),
)

_TEMPLATES: Final = (
    a_template("a reserved variable", {"env": [{"name": "RANK", "value": "1"}]}, "env[0].name", "choose another name"),
    a_template(
        "a variable that begins with a digit", {"env": [{"name": "1A"}]}, "env[0].name", "must consist of letters"
    ),
    a_template(
        "a variable with two values",
        {"env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]},
        "env[0].value",
        "set value or valueFrom, not both",
    ),
    a_template("a variable twice", {"env": [{"name": "A"}, {"name": "A"}]}, "env[1]", "Duplicate value"),
    a_template(
        "a volume of no kind", {"volumes": [{"name": "a", "mountPath": "/a"}]}, "volumes[0]", "set exactly one of"
    ),
    a_template(
        "a volume over the operator's own",
        {"volumes": [{"name": "a", "mountPath": "/mnt/volumes/x", "emptyDir": {}}]},
        "volumes[0].mountPath",
        "choose another path",
    ),
    a_template(
        "a volume of the operator's name",
        {"volumes": [{"name": "tmp", "mountPath": "/a", "emptyDir": {}}]},
        "volumes[0].name",
        "choose another name",
    ),
    a_template(
        "two volumes in one place",
        {"volumes": [{"name": name, "mountPath": "/a", "emptyDir": {}} for name in ("a", "b")]},
        "volumes",
        "give each volume its own path",
    ),
    a_template(
        "a way out of a volume",
        {"volumes": [{"name": "a", "mountPath": "/a", "subPath": "../b", "emptyDir": {}}]},
        "volumes[0].subPath",
        "without '..'",
    ),
    a_template("a label's value with a space", {"labels": {"team": "my team"}}, "labels", "63 letters"),
    a_template("a label's key with a space", {"labels": {"my team": "a"}}, "labels", "DOMAIN/NAME"),
    a_template("a label of the operator", {"labels": {"deepsynth.io/step": "x"}}, "labels", "remove them"),
    a_template("a class that cannot be a name", {"priorityClassName": "High!"}, "priorityClassName", "letters, digits"),
    a_template("a scheduler with a space", {"schedulerName": "my scheduler"}, "schedulerName", "lower case letters"),
    a_template("a runtime in capitals", {"runtimeClassName": "NVIDIA"}, "runtimeClassName", "lower case letters"),
    a_template(
        "a claim without its source", {"resourceClaims": [{"name": "gpu"}]}, "resourceClaims[0]", "set exactly one of"
    ),
    a_template(
        "a claim of two sources",
        {"resourceClaims": [{"name": "gpu", "resourceClaimName": "a", "resourceClaimTemplateName": "b"}]},
        "resourceClaims[0]",
        "set exactly one of",
    ),
    a_template(
        "a claim twice",
        {"resourceClaims": [{"name": "gpu", "resourceClaimName": name} for name in "ab"]},
        "resourceClaims[1]",
        "Duplicate value",
    ),
    a_spread("a skew of nothing", {"maxSkew": 0}, ".maxSkew", "greater than or equal to 1"),
    a_spread("a domain that is no label", {"topologyKey": "my zone"}, ".topologyKey", "must be the key of a label"),
    a_spread(
        "a wish for domains",
        {"whenUnsatisfiable": "ScheduleAnyway", "minDomains": 2},
        ".minDomains",
        "requires whenUnsatisfiable DoNotSchedule",
    ),
    a_spread("keys without a selector", {"matchLabelKeys": ["team"]}, ".matchLabelKeys", "requires labelSelector"),
    a_spread(
        "a key in both",
        {"matchLabelKeys": ["team"], "labelSelector": {"matchLabels": {"team": "a"}}},
        ".matchLabelKeys",
        "must not repeat a key",
    ),
    a_spread(
        "a key in both, as an expression",
        {
            "matchLabelKeys": ["team"],
            "labelSelector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]},
        },
        ".matchLabelKeys",
        "must not repeat a key",
    ),
    a_spread(
        "a selector that is no label",
        {"labelSelector": {"matchLabels": {"team": "my team"}}},
        ".labelSelector.matchLabels",
        "keys and values of labels",
    ),
    a_spread(
        "an expression without values",
        {"labelSelector": {"matchExpressions": [{"key": "team", "operator": "In"}]}},
        ".labelSelector.matchExpressions[0].operator",
        "with values",
    ),
    a_spread(
        "an expression on a key with a space",
        {"labelSelector": {"matchExpressions": [{"key": "my team", "operator": "Exists"}]}},
        ".labelSelector.matchExpressions[0].key",
        "must be those of a label",
    ),
    a_template(
        "one domain with two constraints",
        {"topologySpreadConstraints": [SPREAD, SPREAD]},
        "topologySpreadConstraints[1]",
        "Duplicate value",
    ),
    a_template("a user who is root", {"runAsUser": 0}, "runAsUser", "greater than or equal to 1"),
)

_DUPLICATES: Final = (
    a_run(
        "two datasets of one name",
        {"datasets": [{"name": "a", "uri": "pvc://a"}, {"name": "a", "uri": "pvc://b"}]},
        "spec.datasets[1]",
        "Duplicate value",
    ),
    a_generation(
        "two fonts of one name",
        {"fonts": [{"name": "A", "uri": "pvc://a"}, {"name": "A", "uri": "pvc://b"}]},
        "spec.fonts[1]",
        "Duplicate value",
    ),
    a_run(
        "a metric twice", {"evaluation": {"metrics": ["loss", "loss"]}}, "spec.evaluation.metrics[1]", "Duplicate value"
    ),
)

_CHANGES: Final = (
    a_change("another model", "TrainingRun", {"model": {"uri": "hf://a/b"}}, "spec.model"),
    a_running_change("more nodes", {"numNodes": 4}, "spec.numNodes"),
    a_running_change("fewer GPUs", {"resourcesPerNode": {"limits": {"nvidia.com/gpu": 4}}}, "spec.resourcesPerNode"),
    a_running_change("more steps at work", {"maxSteps": 80}, "spec.maxSteps"),
    a_running_change("a field that was not there", {"image": "a:1"}, "spec.image"),
    a_change("another seed", "TrainingRun", {"seed": 7}, "spec.seed"),
    a_change("another batch", "TrainingRun", {"globalBatchSize": 64}, "spec.globalBatchSize"),
    a_change("another learning rate", "TrainingRun", {"optimizer": {"learningRate": "0.1"}}, "spec.optimizer"),
    a_change("other checkpoints", "TrainingRun", {"checkpoint": {"uri": "pvc://other"}}, "spec.checkpoint.uri"),
    a_wrong_continuation(
        "other samples held out",
        {"evaluation": {"holdoutPercent": 5}},
        "spec.evaluation.holdoutPercent",
        "cannot change",
    ),
    a_wrong_continuation(
        "another ranking",
        {"evaluation": {"metrics": ["cer"], "bestMetric": "cer"}},
        "spec.evaluation.bestMetric",
        "set it to its earlier value",
    ),
    a_wrong_continuation(
        "fewer steps than are trained", {"maxSteps": 19}, "spec.maxSteps", "at least status.savedStep"
    ),
    a_wrong_continuation(
        "fewer epochs than are trained", {"epochs": 1, "maxSteps": None}, "spec.epochs", "status.progress.epoch"
    ),
    a_change("another preset", "DatasetGeneration", {"preset": "samsum"}, "spec.preset"),
    a_change("another page", "DatasetGeneration", {"page": {"size": "512"}}, "spec.page"),
)

BAD_SPECS: Final = (
    *_FRAME,
    *_UNKNOWN,
    *_TYPES,
    *_MISSING,
    *_RANGES,
    *_ENUMS,
    *_URIS,
    *_FORMS,
    *_QUANTITIES,
    *_RULES,
    *_TEMPLATES,
    *_DUPLICATES,
    *_CHANGES,
)
