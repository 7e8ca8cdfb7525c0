"""The card of a run's final model (YAML front matter for the Hub, a page for readers), and its facts for programs."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, Final

import yaml
from huggingface_hub import EvalResult, ModelCardData

from deepsynth_api.counted import counted
from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_api.v1alpha1.training_run_status import PinnedDataset
from deepsynth_api.workload import TrainWorkload
from deepsynth_store import README
from deepsynth_store.core.uri import FolderLocation, HubLocation, parse_uri
from deepsynth_train.coordination.progress import WrittenSample
from deepsynth_train.models.card.base_model import HUB, BaseModel, find_base_model
from deepsynth_train.models.card.markdown import code, escape, fence
from deepsynth_train.models.card.usage import build_usage
from deepsynth_train.models.files.model_folder import RUN_FILE
from deepsynth_train.models.interface.page_model import PageModel
from deepsynth_train.models.interface.prompts import get_prompt

_UNPUBLISHED: Final = ("checkpoint", "hangTimeoutSeconds", "publish", "tracking")
"""Settings that do not change the model, and that name places inside a cluster."""
_MAX_SAMPLES: Final = 4
_MAX_CHARACTERS: Final = 1000
"""Of each text of a sample."""
_FIELD: Final = re.compile(r"^spec\.datasets\[(.+?)\]")
"""A dataset in the name of a sample; readers of a card know only its name."""
_PACKAGES: Final = ("deepsynth-operator", "torch", "transformers", "peft")


@dataclass(frozen=True)
class Lineage:
    """What a run knows of its model besides the settings.

    datasets: with the revisions that were read. metrics, samples: of the last evaluation; empty without one.
    """

    step: int
    datasets: Sequence[PinnedDataset]
    metrics: Mapping[str, float]
    samples: Sequence[WrittenSample] = ()


def build_documents(workload: TrainWorkload, model: PageModel, lineage: Lineage) -> dict[str, str]:
    """The text files of a published model, by name: README.md, and deepsynth.json with what it was made from."""
    origins = {dataset.name: dataset.origin for dataset in workload.datasets if dataset.origin}
    datasets = [pin.updated(uri=origins.get(pin.name, pin.uri)) for pin in lineage.datasets]
    lineage = replace(lineage, datasets=datasets)
    return {README: build_card(workload, model, lineage), RUN_FILE: _build_run_file(workload, model, lineage)}


def build_card(workload: TrainWorkload, model: PageModel, lineage: Lineage) -> str:
    base = find_base_model(workload.model, model.module)
    data = _build_data(workload, model, lineage, base)
    sections = (
        f"---\n{data.to_yaml()}\n---\n",
        _build_summary(workload, base, lineage),
        _build_how_to_use(workload, model, base),
        _build_metrics(lineage),
        _build_samples(lineage.samples),
        _build_training(workload, lineage),
        _build_licence(data, base),
    )
    return "\n".join(section for section in sections if section)


def _build_run_file(workload: TrainWorkload, model: PageModel, lineage: Lineage) -> str:
    base = find_base_model(workload.model, model.module)
    document = {
        "prompt": _find_prompt(workload, model),
        "task": workload.task,
        "holdoutPercent": workload.evaluation.holdout_percent,
        "run": {"name": workload.name, "uid": workload.uid, "fingerprint": workload.fingerprint},
        "step": lineage.step,
        "model": {"uri": workload.model.uri, "revision": base.revision},
        "datasets": [pin.to_dict() for pin in lineage.datasets],
        "metrics": _drop_non_finite(lineage.metrics),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _find_prompt(workload: TrainWorkload, model: PageModel) -> str | None:
    """None for a model without one."""
    return get_prompt(workload) if model.processor.chat_template else None


def publishes_adapters(workload: TrainWorkload) -> bool:
    """Whether the published model is adapters alone, without the weights of its base."""
    return workload.model.lora is not None and workload.publish is not None and workload.publish.format == "adapter"


def _build_data(workload: TrainWorkload, model: PageModel, lineage: Lineage, base: BaseModel) -> ModelCardData:
    adapters = publishes_adapters(workload)
    task = "image-text-to-text" if model.processor.chat_template else "image-to-text"
    tags = {"summarization": workload.task == "summarize", "lora": workload.model.lora is not None}
    base_name = base.name or (None if adapters else base.card.get("base_model"))
    relation = "adapter" if adapters else "finetune"
    return ModelCardData(
        base_model=base_name,
        base_model_relation=relation if base_name else None,
        datasets=_list_hub_datasets(workload) or None,
        eval_results=_build_results(lineage, task) or None,
        language=base.card.get("language"),
        library_name="peft" if adapters else "transformers",
        model_name=workload.name,
        pipeline_tag=task,
        tags=["deepsynth", "ocr", *(tag for tag, applies in tags.items() if applies)],
        **_find_licence(base),
    )


def _find_licence(base: BaseModel) -> dict[str, Any]:
    """The base's licence; if it is unknown, `other` with a reference to the base, as the Hub wants it."""
    if base.card.get("license"):
        return {key: base.card.get(key) for key in ("license", "license_name", "license_link")}
    if base.is_random:
        return {"license": "other", "license_name": "not-chosen"}
    link = f"{HUB}/{base.name}" if base.name else None
    return {"license": "other", "license_name": "see-base-model", "license_link": link}


def _list_hub_datasets(workload: TrainWorkload) -> list[str]:
    locations = [parse_uri(dataset.uri) for dataset in workload.datasets]
    return sorted({location.repo_id for location in locations if isinstance(location, HubLocation)})


def _build_results(lineage: Lineage, task: str) -> list[EvalResult]:
    names = ", ".join(dataset.name for dataset in lineage.datasets)
    return [
        EvalResult(
            task_type=task,
            dataset_type="pages",
            dataset_name=names,
            dataset_split="validation",
            metric_type=name.removeprefix("validation_"),
            metric_value=value,
        )
        for name, value in _drop_non_finite(lineage.metrics).items()
    ]


def _drop_non_finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """NaN and infinity, which neither the Hub nor JSON have."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _build_summary(workload: TrainWorkload, base: BaseModel, lineage: Lineage) -> str:
    what = (
        "reads the text of page images" if workload.task == "ocr" else "summarises documents from images of their pages"
    )
    how = "with low-rank adapters (LoRA)" if workload.model.lora else "by training its weights"
    at = f" at revision {code(base.revision)}" if base.revision else ""
    steps = counted(lineage.step, "step")
    return f"""\
# {escape(workload.name)}

A vision-language model that {what}: fine-tuned {how}, from {base.where}{at}, in {steps} by DeepSynth.
"""


def _build_how_to_use(workload: TrainWorkload, model: PageModel, base: BaseModel) -> str:
    location = parse_uri(workload.publish.uri if workload.publish else workload.output_uri)
    name = location.repo_id if isinstance(location, HubLocation) else location.uri
    name = str(location.path) if isinstance(location, FolderLocation) else name
    needed = base if publishes_adapters(workload) else None
    return f"## How to use\n\n{build_usage(name, _find_prompt(workload, model), needed)}"


def _build_metrics(lineage: Lineage) -> str:
    if not lineage.metrics:
        return ""
    rows = "".join(f"| {code(name)} | {value:.4g} |\n" for name, value in lineage.metrics.items())
    return f"""\
## Metrics

On the validation split, after {counted(lineage.step, "step")}.

| Metric | Value |
|---|---|
{rows}
Losses are per label token. `validation_loss_swapped` is the loss with the pages of another document: if it is close to
`validation_loss`, the model does not use its pages.
"""


def _build_samples(samples: Sequence[WrittenSample]) -> str:
    if not samples:
        return ""
    shown = "\n".join(
        f"### {escape(_name_for_readers(sample))}\n\nReference:\n\n{fence(_shorten(sample.reference), 'text')}\n\n"
        f"Written:\n\n{fence(_shorten(sample.written), 'text')}\n"
        for sample in samples[:_MAX_SAMPLES]
    )
    return f"## Samples of the validation split\n\n{shown}"


def _name_for_readers(sample: WrittenSample) -> str:
    """`xsum: row 3 of the validation split`, without the field of the spec."""
    return _FIELD.sub(r"\1", sample.name)


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]} ..."


def _build_training(workload: TrainWorkload, lineage: Lineage) -> str:
    rows = "".join(
        f"| {code(pin.name)} | {code(pin.uri)} | {code(pin.revision) if pin.revision else ''} |\n"
        for pin in lineage.datasets
    )
    packages = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
    return f"""\
## Training

| Dataset | URI | Revision |
|---|---|---|
{rows}
Settings, as in the spec of a TrainingRun:

{fence(_format_settings(workload), "yaml")}

Run {code(workload.name)}, uid {code(workload.uid)}, fingerprint {code(workload.fingerprint)}. Packages: {packages}.
"""


def _format_settings(workload: TrainWorkload) -> str:
    settings = TrainingSettings(**{name: getattr(workload, name) for name in TrainingSettings.model_fields}).to_dict()
    settings["model"].pop("secretRef", None)
    shown = {name: value for name, value in settings.items() if name not in _UNPUBLISHED}
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=100).rstrip()


def _build_licence(data: ModelCardData, base: BaseModel) -> str:
    if base.is_random:
        return "## Licence\n\nThe weights were trained from random ones, so no base model's licence applies to them.\n"
    if data.license_name == "see-base-model":
        unknown = "its card does not name it, or could not be read"
        return f"## Licence\n\nThat of the base model, {base.where}: {unknown}.\n"
    return f"## Licence\n\nThat of the base model, {base.where}: {code(str(data.license_name or data.license))}.\n"
