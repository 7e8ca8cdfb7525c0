"""The model that an attempt leaves: in its checkpoints, and at the end."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from deepsynth_api.v1alpha1.training_run_status import ModelOutput
from deepsynth_api.workload import TrainWorkload
from deepsynth_train.attempt.inputs import build_on_wait
from deepsynth_train.checkpoint.content import WriteModel
from deepsynth_train.checkpoint.state.trained import Trained
from deepsynth_train.coordination.progress import Progress
from deepsynth_train.coordination.world import World
from deepsynth_train.evaluation.ranking import (
    VALUES,
    choose_best_metric,
    choose_stopping_metric,
)
from deepsynth_train.loop.loop import Loop
from deepsynth_train.models.adapters import build_empty_copy
from deepsynth_train.models.card.build import Lineage, build_documents
from deepsynth_train.models.export import export_model, write_model
from deepsynth_train.models.interface.page_model import PageModel
from deepsynth_train.optimization.sharding import gather_full_state, is_sharded


def build_writer(workload: TrainWorkload, model: PageModel, world: World) -> WriteModel | None:
    """Writes the model folder of a checkpoint: the adapters, or the whole model. None if its weights are sharded."""
    if workload.model.lora:
        # Adapters of experts change the modules in each forward pass, which may run while a thread writes.
        still = replace(model, module=build_empty_copy(model.module))
        return lambda folder, trained: write_model(still, folder, trained)
    if is_sharded(workload, world):
        return None
    return lambda folder, trained: write_model(model, folder, _complete(model.module, trained))


def _complete(module: torch.nn.Module, trained: dict[str, torch.Tensor]) -> dict[str, Any]:
    """All weights: the trained ones as they were saved, the frozen ones, which do not change, as they are.

    Weights that share memory, such as an output layer with its embedding, share it in the result too.
    """
    live = module.state_dict(keep_vars=True)
    saved = {id(live[name]): tensor for name, tensor in trained.items()}
    return {name: saved.get(id(tensor), tensor.detach()) for name, tensor in live.items()}


def load_best(workload: TrainWorkload, loop: Loop) -> tuple[int, str]:
    """With early stopping, fill the model from the best checkpoint. Returns its step, and a note for users."""
    early = workload.evaluation.early_stopping
    if early is None:
        return loop.step, ""
    step = loop.checkpoints.load_best(Trained(loop.stepper.model.module, loop.stepper.optimizer), loop.step)
    stopping, best = (VALUES[choose(workload.evaluation)] for choose in (choose_stopping_metric, choose_best_metric))
    end = ""
    if loop.is_stale:
        end = (
            f"training stopped early at step {loop.step} of {loop.cadence.total_steps}: {stopping} had not improved in "
            f"{early.patience} evaluations; "
        )
    chosen = f"the model is that of step {step}, the best by {best}" if end or step != loop.step else ""
    return step, end + chosen


def find_last_evaluation(curve: Sequence[Mapping[str, Any]], step: int) -> dict[str, float]:
    """Metrics by name, of the last evaluation up to `step`; empty when there was none."""
    done = (line for line in curve[::-1] if line["step"] <= step)
    lines = ({name: value for name, value in line.items() if name.startswith("validation_")} for line in done)
    return next(filter(None, lines), {})


def export(
    workload: TrainWorkload, model: PageModel, lineage: Lineage, world: World, progress: Progress
) -> ModelOutput:
    """Rank 0 writes the model; the others wait, so that every rank ends after it is complete."""
    tensors = gather_full_state(model.module, world)
    output = ModelOutput(uri=workload.publish.uri if workload.publish else workload.output_uri)
    if world.is_first:
        documents = build_documents(workload, model, lineage)
        output = export_model(model, tensors, workload, workload.output_uri, documents, on_wait=build_on_wait(progress))
    world.wait_for_all(progress.beat)
    return output
