"""Steps of test_published_size.py, each in a process of its own. The last line of its output is JSON."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any


class PeakMemory(threading.Thread):
    """The largest anonymous memory of this process, in bytes: mapped files can be dropped and do not count."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0

    def run(self) -> None:
        while True:
            status = Path("/proc/self/status").read_text()
            line = next(line for line in status.splitlines() if line.startswith("RssAnon"))
            self.peak = max(self.peak, int(line.split()[1]) * 1024)
            time.sleep(0.1)


def write(folder: Path) -> dict[str, Any]:
    import torch

    from deepsynth_train.models.random.registry import build_random_model

    module, processor = build_random_model("deepseek-ocr2", torch.device("cpu"), "")
    module.save_pretrained(folder / "base")
    processor.save_pretrained(folder / "base")
    return {}


def train(folder: Path) -> dict[str, Any]:
    from deepsynth_train import TrainConfig, Trainer
    from support.training.tiny_training import Recorder

    os.environ["DEEPSYNTH_CACHE"] = str(folder / "cache")
    memory = PeakMemory()
    memory.start()
    config = TrainConfig.model_validate(
        {
            "model": {"uri": f"file://{folder}/base", "lora": {"rank": 8, "alpha": 16}},
            "precision": "bf16",
            "checkpoint": {"uri": f"file://{folder}/checkpoints", "every_steps": 1},
            "optimizer": {"learning_rate": "0.001", "schedule": "constant"},
            "global_batch_size": 1,
            "max_steps": 2,
        }
    )
    recorder = Recorder()
    result = Trainer(config, folder / "pages", progress=recorder).train()
    return {
        "step": result.step,
        "losses": [report.loss for report in recorder.steps],
        "resumed_from": recorder.started.resumed_from_step,
        "peak": memory.peak,
        "stored": (folder / "base" / "model.safetensors").stat().st_size,
    }


def open_model(folder: Path) -> dict[str, Any]:
    import torch
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    module = AutoModelForImageTextToText.from_pretrained(folder, dtype="auto")
    processors: Any = AutoProcessor
    processor = processors.from_pretrained(folder)
    inputs = processor(images=Image.new("RGB", (1240, 1754), "white"), text="<image>\nFree OCR.", return_tensors="pt")
    inputs["pixel_values"] = inputs["pixel_values"].to(module.dtype)
    with torch.no_grad():
        logits = module(**inputs).logits
    return {
        "weights": sum(parameter.numel() for parameter in module.parameters()),
        "dtype": str(module.dtype),
        "finite": bool(logits.isfinite().all()),
    }


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    step = {"write": write, "train": train, "open": open_model}[sys.argv[1]]
    print(json.dumps(step(Path(sys.argv[2]))))
