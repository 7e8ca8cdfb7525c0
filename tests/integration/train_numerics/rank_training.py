"""What the ranks of a test do: train for a while and leave what they saw in a folder."""

from __future__ import annotations

import inspect
import json
import os
import signal
import time
from functools import partial, partialmethod, wraps
from typing import TYPE_CHECKING, Any

from deepsynth_api.workload import TrainWorkload
from support.training.tiny_training import Recorder, build_model, build_samples, build_settings, build_stepper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch

    from deepsynth_train.coordination.world import World
    from integration.train_numerics.combinations import Combination


def run_steps(folder: Path, uri: str, batches: list[list[int]], micro_batch: int, **changes: Any) -> int:
    """Take the optimizer steps `batches` (sample numbers); rank 0 writes losses, norms and the last gradients.

    poisoned_rank, poisoned_step: a gradient of that rank becomes infinite. precision fp16 has a loss scale.
    """
    import torch

    from deepsynth_train.coordination.world import join_world
    from deepsynth_train.optimization.precision import LossScale
    from deepsynth_train.optimization.step import Flags

    world = join_world()
    model = build_model(uri)
    settings = build_settings(uri)
    stepper = build_stepper(model, settings, world)
    if changes.get("precision") == "fp16":
        stepper.loss_scale = LossScale.build("fp16")
    samples = build_samples(model, 1 + max(number for batch in batches for number in batch))
    lines = []
    for step, numbers in enumerate(batches):
        if (world.rank, step) == (changes.get("poisoned_rank"), changes.get("poisoned_step")):
            _poison(model.module)
        mine = numbers[world.rank :: world.size]
        pieces = [mine[start : start + micro_batch] for start in range(0, len(mine), micro_batch)]
        made = (model.family.collate([samples[number] for number in piece]) for piece in pieces)
        outcome = stepper.run(made, len(pieces), 1e-3, Flags())
        lines.append(
            {
                "loss": outcome.loss,
                "norm": outcome.grad_norm,
                "updated": outcome.updated,
                "scale": stepper.loss_scale.scale,
            }
        )
    (folder / f"steps-{world.size}-{world.rank}.json").write_text(json.dumps(lines))
    gradients = {name: p.grad for name, p in model.module.named_parameters() if p.requires_grad}
    torch.save(gradients, folder / f"gradients-{world.size}-{world.rank}.pt")
    torch.save(model.module.state_dict(), folder / f"weights-{world.size}-{world.rank}.pt")
    return 0


def _poison(module: torch.nn.Module) -> None:
    """The next gradient of one weight is infinite on this rank."""
    weight = next(parameter for parameter in module.parameters() if parameter.requires_grad)
    handle = weight.register_hook(_become_infinite)  # type: ignore[no-untyped-call]  # torch
    weight.register_post_accumulate_grad_hook(lambda _: handle.remove())  # type: ignore[no-untyped-call]  # torch


def _become_infinite(gradient: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.full_like(gradient, torch.inf)


def run_attempt(document: str, cache: Path, stop_after: int | None = None, kill: tuple[int, int] | None = None) -> int:
    """A whole attempt. stop_after: steps after which the last rank asks to stop. kill: (rank, step) to kill.

    Exit code 0 when done, 1 when stopped.
    """
    from deepsynth_train.attempt.run import run_attempt
    from deepsynth_train.coordination.world import join_world

    os.environ["DEEPSYNTH_CACHE"] = str(cache)
    workload = TrainWorkload.parse(document)
    world = join_world()
    recorder = Recorder()
    recorder.on_step = lambda report: _die_at(world, report.step, kill)
    wants_stop = stop_after is not None and world.rank == world.size - 1
    result = run_attempt(workload, world, recorder, lambda: wants_stop and len(recorder.steps) + 1 >= (stop_after or 0))
    return int(result.stopped)


def _die_at(world: World, step: int, kill: tuple[int, int] | None) -> None:
    if kill == (world.rank, step):
        os.kill(os.getpid(), signal.SIGKILL)


def run_sharded(folder: Path, precision: str) -> int:
    """Two steps of uneven batches with FSDP2, then the whole model from all shards; rank 0 writes what it saw."""
    import torch

    from deepsynth_train.coordination.world import join_world
    from deepsynth_train.optimization.precision import build_autocast
    from deepsynth_train.optimization.sharding import build_reduction, gather_full_state, place_module
    from deepsynth_train.optimization.step import Flags

    world = join_world()
    model = build_model()
    settings = build_settings(precision=precision, sharding="full", gradient_checkpointing=True)
    place_module(model.module, settings, world)
    stepper = build_stepper(model, settings, world, build_reduction(model.module, settings, world))
    stepper.autocast = build_autocast(settings.precision, world.device)
    samples = build_samples(model, 8)
    lines = []
    for numbers in ([0], [3, 4, 5, 6, 7]):
        mine = numbers[world.rank :: world.size]
        batch = model.family.collate([samples[number] for number in mine or [0]])
        if not mine:
            batch = batch.empty()
        outcome = stepper.run(iter([batch]), 1, 1e-3, Flags())
        lines.append({"loss": outcome.loss, "norm": outcome.grad_norm})
    (folder / f"steps-{world.size}-{world.rank}.json").write_text(json.dumps(lines))
    state = gather_full_state(model.module, world)
    if world.is_first:
        torch.save(state, folder / f"weights-{world.size}-0.pt")
    return 0


def run_combinations(root: Path, runs: list[tuple[Combination, Path]], patience: int, backend: str) -> int:
    """Train each combination into its folder; rank 0 leaves what it saw. Ends at the first that fails or hangs.

    patience: seconds after which a run hangs. Its stack is then on stderr. backend: of torch.compile.
    """
    import faulthandler

    import torch

    from deepsynth_train.attempt.run import run_attempt
    from deepsynth_train.coordination.world import join_world

    os.environ["DEEPSYNTH_CACHE"] = str(root / "cache")
    torch.nn.Module.compile = partialmethod(torch.nn.Module.compile, backend=backend)  # type: ignore[assignment,method-assign]
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    world = join_world()
    for combination, folder in runs:
        faulthandler.dump_traceback_later(patience, exit=True)
        start = time.process_time()
        recorder = Recorder()
        texts = _spy_on_texts()
        if combination.resume:
            first = TrainWorkload.parse(combination.build_document(root, folder, attempt=1))
            assert run_attempt(first, world, recorder, partial(_has_steps, recorder, 1)).stopped
        second = TrainWorkload.parse(combination.build_document(root, folder, attempt=2))
        run_attempt(second, world, recorder, lambda: False)
        if world.is_first:
            seen = {
                "steps": [{"loss": report.loss, "norm": report.grad_norm} for report in recorder.steps],
                "evaluations": recorder.evaluations,
                "texts": texts,
                "cpu_seconds": time.process_time() - start,
            }
            (folder / "seen.json").write_text(json.dumps(seen))
        torch._dynamo.reset()
    faulthandler.cancel_dump_traceback_later()
    return 0


def _spy_on_texts() -> list[str]:
    """Every text that the model writes from now on, until the next call."""
    from deepsynth_train.evaluation.generation import Generator

    written: list[str] = []
    write = inspect.unwrap(Generator.write)

    @wraps(write)
    def spy(self: Generator, numbers: Sequence[int]) -> dict[int, str]:
        texts: dict[int, str] = write(self, numbers)
        written.extend(text for _, text in sorted(texts.items()))
        return texts

    Generator.write = spy  # type: ignore[method-assign]
    return written


def _has_steps(recorder: Recorder, count: int) -> bool:
    return len(recorder.steps) == count
