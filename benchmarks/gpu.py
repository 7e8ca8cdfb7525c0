"""What one GPU does with the trainer, as JSON: `python benchmarks/gpu.py > gpu.json`, in less than nine minutes.

    python benchmarks/gpu.py [--device cpu] [--model config://NAME]

The model has random weights, on a GPU those of DeepSeek-OCR-2's published size. Each part prints to stderr what it
found as it ends, and one that fails reports its error and does not end the others.

    steps        pages/s, share of the peak bf16 FLOP/s (MFU), peak memory next to the estimate of `deepsynth fit`,
                 for adapters, frozen vision, recomputed activations, and fp16 with its loss scale
    compile      steps compiled, next to eager ones
    features     steps with cached features of pages, next to those of a frozen vision part, and the time to read one
    all_reduce   the sum of gradients by NCCL (gloo on a CPU) in a group of one process
    generation   tokens/s of greedy reading, eight pages at a time
    checkpoint   seconds that a save holds training up, until it is committed, and of a resume
    tests        the tests marked gpu
"""

import argparse
import gc
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
import torch.distributed as dist
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train.checkpoint.content import Snapshot
from deepsynth_train.checkpoint.folder import CheckpointFolder
from deepsynth_train.checkpoint.owner import Owner
from deepsynth_train.checkpoint.state.trained import Trained
from deepsynth_train.coordination.world import World
from deepsynth_train.features.store import FeatureStore
from deepsynth_train.features.vision import StoredVision, cut_constant_vision, name_vision
from deepsynth_train.memory.estimate import PAGE, build_batch, estimate_memory
from deepsynth_train.models.build import build_page_model
from deepsynth_train.models.interface.page_model import Batch, PageModel, Prompt, Sample
from deepsynth_train.optimization.optimizer import build_optimizer
from deepsynth_train.optimization.precision import LossScale, build_autocast
from deepsynth_train.optimization.sharding import build_reduction, place_module
from deepsynth_train.optimization.step import Flags, Stepper

PEAK_FLOPS: Final = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12, "4090": 165e12}
"""Dense bf16, from the data sheets."""
LABEL_TOKENS: Final = 256
STEPS: Final = 6
VARIANTS: Final[dict[str, dict[str, Any]]] = {
    "adapters": {"model": {"lora": {}}, "precision": "bf16"},
    "adapters, 4 samples": {"model": {"lora": {}}, "precision": "bf16", "microBatchSize": 4},
    "frozen vision": {"model": {"freeze": ["vision"]}, "precision": "bf16"},
    "recomputed": {"model": {"lora": {}}, "precision": "bf16", "gradientCheckpointing": True, "microBatchSize": 4},
    "fp16": {"model": {"lora": {}}, "precision": "fp16"},
}


def build_settings(model: str, changes: dict[str, Any]) -> TrainingSettings:
    return TrainingSettings.model_validate(
        {
            "checkpoint": {"uri": "file:///nowhere"},
            **changes,
            "model": {"uri": model, **changes.get("model", {})},
        }
    )


class Training:
    """A placed model with a stepper and a batch that repeats."""

    def __init__(self, settings: TrainingSettings, device: torch.device) -> None:
        self.settings = settings
        self.world = World(0, 1, 0, 1, device)
        self.model: PageModel = build_page_model(settings, device)
        place_module(self.model.module, settings, self.world)
        self.optimizer = build_optimizer(self.model.module, settings.optimizer)
        self.model.module.train()
        self.stepper = Stepper(
            model=self.model,
            optimizer=self.optimizer,
            reduction=build_reduction(self.model.module, settings, self.world),
            world=self.world,
            autocast=build_autocast(settings.precision, device),
            loss_scale=LossScale.build(settings.precision),
            max_grad_norm=1.0,
        )
        self.batch: Batch = build_batch(self.model, count_samples(settings), 1, LABEL_TOKENS)
        if device.type == "cuda":
            self.batch = self.batch.pin()

    def step(self) -> float:
        """The loss of one step, which waits for the device."""
        return self.stepper.run(iter([self.batch]), 1, 1e-5, Flags()).loss

    def time_steps(self, count: int = STEPS) -> float:
        """Seconds of a step, after two to warm up."""
        for _ in range(2):
            self.step()
        start = time.perf_counter()
        for _ in range(count):
            self.step()
        return (time.perf_counter() - start) / count


def count_samples(settings: TrainingSettings) -> int:
    """Of a micro-batch; no variant leaves the choice to the trainer."""
    return int(settings.micro_batch_size)


def free_memory(device: torch.device) -> None:
    """Empty the allocator, so that peaks belong to one part."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def measure_steps(model: str, device: torch.device) -> dict[str, Any]:
    results = {}
    for name, changes in VARIANTS.items():
        free_memory(device)
        results[name] = measure_variant(build_settings(model, changes), device)
        log(f"steps, {name}: {results[name]}")
    return results


def measure_variant(settings: TrainingSettings, device: torch.device) -> dict[str, Any]:
    start = time.perf_counter()
    training = Training(settings, device)
    loading = time.perf_counter() - start
    seconds = training.time_steps()
    with FlopCounterMode(display=False) as counter:
        loss = training.step()
    flops = counter.get_total_flops()
    found = {
        "loss": loss,
        "load_seconds": round(loading, 2),
        "step_seconds": round(seconds, 4),
        "pages_per_second": round(count_samples(settings) / seconds, 2),
        "tflop_per_step": round(flops / 1e12, 3),
    }
    if device.type == "cuda":
        estimate = estimate_memory(
            settings, samples=count_samples(settings), gpus=1, pages=1, label_tokens=LABEL_TOKENS
        )
        peak = torch.cuda.max_memory_allocated(device)
        found |= {
            "peak_gib": round(peak / 2**30, 2),
            "estimate_over_peak": round((estimate.total_bytes - estimate.reserve_bytes) / peak, 3),
            "mfu": find_share_of_peak(flops / seconds, device),
        }
    return found


def find_share_of_peak(flops_per_second: float, device: torch.device) -> float | None:
    name = torch.cuda.get_device_name(device)
    peak = next((peak for key, peak in PEAK_FLOPS.items() if key in name), None)
    return round(flops_per_second / peak, 3) if peak else None


def measure_compile(model: str, device: torch.device) -> dict[str, Any]:
    seconds = {}
    for name, on in (("eager", False), ("compiled", True)):
        free_memory(device)
        start = time.perf_counter()
        training = Training(build_settings(model, {**VARIANTS["frozen vision"], "compile": on}), device)
        seconds[name] = training.time_steps()
        seconds[f"{name}_start"] = time.perf_counter() - start
        del training
    return {"speed_up": round(seconds["eager"] / seconds["compiled"], 3)} | {k: round(v, 3) for k, v in seconds.items()}


def measure_features(model: str, device: torch.device) -> dict[str, Any]:
    training = Training(build_settings(model, VARIANTS["frozen vision"]), device)
    plain = training.time_steps()
    autocast, page = training.stepper.autocast, Image.new("L", PAGE, 255)
    cut, why = cut_constant_vision(training.model, training.settings, autocast)
    if cut is None:
        return {"reason": why}
    content = io.BytesIO()
    page.save(content, "PNG")
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore(Path(folder), name_vision(training.model, cut, training.settings), 2**30, log)
        vision = StoredVision(training.model, cut, store, training.settings.precision, autocast)
        training.model = training.stepper.model = replace(training.model, vision=vision)

        def read() -> Prompt:
            return vision.read_prompt([content.getvalue()], lambda: training.model.family.build_prompt([page]))

        training.batch = training.model.collate([Sample(read(), [0] * LABEL_TOKENS)])
        training.step()
        store.finish()
        start = time.perf_counter()
        prompt = read()
        reading = time.perf_counter() - start
        training.batch = training.model.collate([Sample(prompt, [0] * LABEL_TOKENS)])
        cached = training.time_steps()
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return {
        "step_seconds": round(plain, 4),
        "cached_step_seconds": round(cached, 4),
        "speed_up": round(plain / cached, 2),
        "read_ms": round(1000 * reading, 2),
        "page_bytes": size,
        "hits": store.counts["hits"],
    }


def measure_all_reduce(_model: str, device: torch.device) -> dict[str, Any]:
    backend = "nccl" if device.type == "cuda" else "gloo"
    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group(backend, init_method=f"file://{folder}/store", rank=0, world_size=1)
    try:
        flat = torch.ones(25 * 2**20 // 4, device=device)
        dist.all_reduce(flat)
        start = time.perf_counter()
        for _ in range(20):
            dist.all_reduce(flat)
        total = float(flat.sum())
        return {"backend": backend, "bucket_ms": round((time.perf_counter() - start) * 50, 3), "sum": total}
    finally:
        dist.destroy_process_group()


def measure_generation(model: str, device: torch.device) -> dict[str, Any]:
    training = Training(build_settings(model, VARIANTS["adapters"]), device)
    family, module = training.model.family, training.model.module.eval()
    tokens = 32
    found = {}
    sample = Sample(family.build_prompt([Image.new("L", PAGE, 255)]), [])
    for pages in (1, 8):
        inputs = {name: value.to(device) for name, value in family.collate_prompts([sample] * pages).items()}
        with torch.no_grad(), training.stepper.autocast():
            for count in (2, tokens):  # the first to warm up
                start = time.perf_counter()
                lengths = {"max_new_tokens": count, "min_new_tokens": count}
                module.generate(**family.prepare(inputs), **lengths, do_sample=False)
        found[f"tokens_per_second_{pages}_pages"] = round(pages * tokens / (time.perf_counter() - start), 1)
    return found


def measure_checkpoint(model: str, device: torch.device) -> dict[str, Any]:
    training = Training(build_settings(model, VARIANTS["frozen vision"]), device)
    training.step()
    with tempfile.TemporaryDirectory() as path:
        uri = f"file://{path}/checkpoints"
        trained = Trained(training.model.module, training.optimizer)
        folder = CheckpointFolder(uri, Owner("benchmark", "benchmark", 1))
        times = []
        for step in (1, 2):
            start = time.perf_counter()
            folder.save(step, Snapshot(trained=trained, state={}))
            stall = time.perf_counter() - start
            folder.wait()
            times.append((stall, time.perf_counter() - start))
        start = time.perf_counter()
        CheckpointFolder(uri, Owner("benchmark", "benchmark", 2)).load_latest(trained)
        return {
            "gib": round(folder.records[0].bytes / 2**30, 2),
            "stall_seconds": round(min(stall for stall, _ in times), 3),
            "commit_seconds": round(min(total for _, total in times), 3),
            "resume_seconds": round(time.perf_counter() - start, 3),
        }


def run_tests(_model: str, device: torch.device) -> dict[str, Any]:
    """Outcome of `pytest -m gpu`. On a CPU they are skipped."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/unit", "tests/integration"]
    finished = subprocess.run(
        command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False, timeout=240
    )
    lines = finished.stdout.strip().splitlines()
    return {"exit_code": finished.returncode, "summary": lines[-1] if lines else "", "device": device.type}


PARTS: Final[dict[str, Callable[[str, torch.device], dict[str, Any]]]] = {
    "steps": measure_steps,
    "compile": measure_compile,
    "features": measure_features,
    "all_reduce": measure_all_reduce,
    "generation": measure_generation,
    "checkpoint": measure_checkpoint,
    "tests": run_tests,
}


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--model", help="default: config://deepseek-ocr2, on a CPU config://deepseek-ocr2-tiny")
    chosen = parser.parse_args()
    device = torch.device(chosen.device, 0) if chosen.device == "cuda" else torch.device(chosen.device)
    model = chosen.model or ("config://deepseek-ocr2" if device.type == "cuda" else "config://deepseek-ocr2-tiny")
    if device.type == "cpu":
        torch.set_num_threads(1)
    import transformers

    results: dict[str, Any] = {
        "model": model,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    for name, measure in PARTS.items():
        start = time.perf_counter()
        try:
            free_memory(device)
            results[name] = measure(model, device)
        except Exception as error:  # noqa: BLE001 - the other parts continue
            results[name] = {"error": f"{type(error).__name__}: {error}"[:500]}
        results[name]["seconds"] = round(time.perf_counter() - start, 1)
        log(f"{name}: {results[name]}")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
