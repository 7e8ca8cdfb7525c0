"""What a sample costs to train on, next to what people write otherwise: `make benchmark-trainer`, about four minutes.

    python benchmarks/trainer.py [--label-tokens 60 450] [--pages 16] [--epochs 3]

All train the language part of one model on the same pages, for the same number of optimizer steps, in fp32. The model
is a DeepSeek-OCR-2 of 41 M random weights, in the proportions of the published one, with a frozen vision part. Each
runs in a fresh process with one thread:

    naive      a loop as most people write it: pages are decoded and processed in the loop, logits for all positions,
               batches as the pages come
    trainer    transformers' Trainer with the same in its collator
    padded     as naive, and every sequence padded to 512 tokens, or cut there
    no cache   a TrainingRun
    DeepSynth  a TrainingRun with spec.cache.features, which its first epoch fills

Times are CPU times, so that other work on the machine matters little. Memory is the peak of a process before its last
save, above what it takes after its imports. wait: share of the time in which a step has no batch.
"""

import argparse
import io
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

BATCH: Final = 4
ACCUMULATION: Final = 2
SIDE: Final = 512
A4: Final = (827, 1169)
"""Pixels of a page: 100 dpi."""
MAX_LENGTH: Final = 512
"""Tokens to which `padded` pads."""
FOREVER: Final = 10**6
PAGES: Final = "pages/data/train-00000.parquet"
SAM: Final[dict[str, Any]] = {
    "hidden_size": 192,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "output_channels": 64,
    "image_size": SIDE,
    "global_attn_indexes": [2, 5, 8, 11],
    "downsample_channels": [128, 224],
    "initializer_range": 0.02,
}
ENCODER: Final[dict[str, Any]] = {
    "hidden_size": 224,
    "intermediate_size": 1216,
    "num_hidden_layers": 12,
    "num_attention_heads": 7,
    "num_key_value_heads": 1,
    "initializer_range": 0.02,
}
TEXT: Final[dict[str, Any]] = {
    "vocab_size": 16384,
    "hidden_size": 256,
    "intermediate_size": 1370,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "moe_intermediate_size": 180,
    "n_routed_experts": 16,
    "n_shared_experts": 2,
    "num_experts_per_tok": 6,
    "mlp_layer_types": ["dense", *["sparse"] * 5],
    "max_position_embeddings": 2048,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}


class Meter:
    """CPU seconds of each epoch, seconds that steps waited for batches, and memory. samples: of an epoch.

    Made after all imports.
    """

    def __init__(self, samples: int) -> None:
        self._samples = samples
        self._base = self._peak = read_peak_bytes()
        self.start()

    def start(self) -> None:
        self._marks, self._start, self.waited = [time.process_time()], time.perf_counter(), 0.0

    def wait_for(self, share: float) -> None:
        """share: of the time since the start."""
        self.waited = share * (time.perf_counter() - self._start)

    def end_epoch(self) -> None:
        self._marks.append(time.process_time())
        self._seconds = time.perf_counter() - self._start
        self._peak = read_peak_bytes()

    def report(self) -> dict[str, Any]:
        seconds = [after - before for before, after in zip(self._marks, self._marks[1:], strict=False)]
        return {
            "epochs": [self._samples / each for each in seconds],
            "whole": self._samples * len(seconds) / sum(seconds),
            "bytes": self._peak - self._base,
            "wait": self.waited / self._seconds,
        }


def read_peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--label-tokens", type=int, nargs="+", default=[60])
    parser.add_argument("--pages", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--run", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        name, folder = options.run
        print(json.dumps(run_contestant(name, Path(folder), options.epochs)))
        return
    for tokens in options.label_tokens:
        with tempfile.TemporaryDirectory() as folder:
            build_inputs(Path(folder), options.pages, tokens)
            results = {name: run_process(name, folder, options.epochs) for name in CONTESTANTS}
        print_table(tokens, results)


def run_process(name: str, folder: str, epochs: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--run", name, folder, "--epochs", str(epochs)]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return found


def print_table(tokens: int, results: dict[str, dict[str, Any]]) -> None:
    print(f"\nsamples per CPU second, labels of {tokens} tokens on average")
    names = ("first epoch", "later", "all", "all / naive", "later / naive", "wait", "MiB", "/ padded")
    print(f"{'':10}" + "".join(f"{name:>15}" for name in names))
    naive, padded = results["naive"], results["padded"]
    for name, found in results.items():
        first, *rest = found["epochs"]
        later = sum(rest) / len(rest)
        faster, later_faster = found["whole"] / naive["whole"], later / (sum(naive["epochs"][1:]) / len(rest))
        memory, share = found["bytes"] / 2**20, found["bytes"] / padded["bytes"]
        rates = [first, later, found["whole"], faster, later_faster]
        cells = [*(f"{rate:.2f}" for rate in rates), f"{found['wait']:.0%}", f"{memory:.0f}", f"{share:.0%}"]
        print(f"{name:10}" + "".join(f"{cell:>15}" for cell in cells), flush=True)


def build_inputs(folder: Path, pages: int, label_tokens: int) -> None:
    """A model, and pages of text with labels of half to one and a half times `label_tokens` tokens."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import torch
    from PIL import Image, ImageDraw
    from transformers import DeepseekOcr2Config, DeepseekOcr2ForConditionalGeneration, DeepseekOcr2Processor
    from transformers.models.deepseek_ocr2.image_processing_pil_deepseek_ocr2 import DeepseekOcr2ImageProcessorPil

    from deepsynth_api.v1alpha1 import TrainingSettings
    from deepsynth_train.models.families.registry import wrap_model
    from deepsynth_train.models.random.tiny import IMAGE, build_byte_tokenizer

    torch.manual_seed(0)
    tokenizer = build_byte_tokenizer()
    config = DeepseekOcr2Config(
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
        vision_config={"sam_config": SAM, "encoder_config": ENCODER},
        text_config=TEXT,
    )
    module = DeepseekOcr2ForConditionalGeneration(config)
    module.save_pretrained(folder / "model")
    images = DeepseekOcr2ImageProcessorPil(crop_to_patches=False, tile_size=SIDE)
    processor = DeepseekOcr2Processor(image_processor=images, tokenizer=tokenizer)  # type: ignore[no-untyped-call]
    settings = {"model": {"uri": "file:///"}, "imageProcessor": {"size": SIDE}, "checkpoint": {"uri": "file:///"}}
    wrap_model(module, processor, TrainingSettings.model_validate(settings))  # makes the processor right for the size
    processor.save_pretrained(folder / "model")
    chance = random.Random(0)
    rows = []
    for _ in range(pages):
        length = chance.randint(label_tokens // 2, label_tokens * 3 // 2)
        text = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz     ", k=length))
        page = Image.new("L", A4, 255)
        lines = "\n".join("".join(chance.choices("abcdefghijklmnopqrstuvwxyz     ", k=90)) for _ in range(60))
        ImageDraw.Draw(page).multiline_text((40, 40), lines, fill=0, font_size=14)
        buffer = io.BytesIO()
        page.save(buffer, "PNG")
        rows.append({"image": {"bytes": buffer.getvalue(), "path": None}, "text": text})
    (folder / "pages" / "data").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / PAGES)


def run_contestant(name: str, folder: Path, epochs: int) -> dict[str, Any]:
    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    return CONTESTANTS[name](folder, epochs)


def run_naive(folder: Path, epochs: int, max_length: int | None = None) -> dict[str, Any]:
    """max_length: pad all sequences to it, and cut longer ones."""
    import torch

    torch.manual_seed(0)
    module, collate, rows = load(folder, max_length)
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=1e-4)
    chance = random.Random(0)
    meter = Meter(len(rows))
    for _ in range(epochs):
        chance.shuffle(rows)
        for number, batch in enumerate(split(rows, BATCH), start=1):
            start = time.perf_counter()
            inputs = collate(batch)
            meter.waited += time.perf_counter() - start
            loss = module(**inputs).loss / ACCUMULATION
            loss.backward()
            if number % ACCUMULATION == 0:
                torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
        meter.end_epoch()
    return meter.report()


def run_padded(folder: Path, epochs: int) -> dict[str, Any]:
    return run_naive(folder, epochs, MAX_LENGTH)


def run_trainer(folder: Path, epochs: int) -> dict[str, Any]:
    from transformers import Trainer, TrainerCallback, TrainingArguments

    module, collate, rows = load(folder, None)
    meter = Meter(len(rows))

    class Clock(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            meter.start()

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            meter.end_epoch()

    def timed_collate(batch: list[dict[str, Any]]) -> dict[str, Any]:
        start = time.perf_counter()
        inputs = collate(batch)
        meter.waited += time.perf_counter() - start
        return inputs

    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=BATCH,
        gradient_accumulation_steps=ACCUMULATION,
        num_train_epochs=epochs,
        learning_rate=1e-4,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        remove_unused_columns=False,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        use_cpu=True,
    )
    Trainer(model=module, args=arguments, train_dataset=rows, data_collator=timed_collate, callbacks=[Clock()]).train()
    return meter.report()


def load(
    folder: Path, max_length: int | None
) -> tuple[Any, Callable[[list[dict[str, Any]]], dict[str, Any]], list[Any]]:
    """The model with a frozen vision part, a collator that decodes and processes pages, and the rows."""
    import pyarrow.parquet as pq
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    models: Any = AutoModelForImageTextToText
    processors: Any = AutoProcessor
    module = models.from_pretrained(folder / "model")
    processor = processors.from_pretrained(folder / "model")
    module.model.vision_tower.requires_grad_(False)
    module.train()
    tokenizer = processor.tokenizer
    tokenizer.padding_side = "right"

    def collate(batch: list[dict[str, Any]]) -> dict[str, Any]:
        pages = [Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB") for row in batch]
        texts = [f"<image>\nFree OCR.{row['text']}{tokenizer.eos_token}" for row in batch]
        shape = (
            {"padding": "max_length", "max_length": max_length, "truncation": True} if max_length else {"padding": True}
        )
        inputs = dict(processor(text=texts, images=pages, return_tensors="pt", **shape))
        labels = inputs["input_ids"].clone()
        labels[inputs["attention_mask"] == 0] = -100
        prompt = len(tokenizer("\nFree OCR.", add_special_tokens=False)["input_ids"])
        last = (inputs["input_ids"] == processor.image_token_id).cumsum(1).argmax(1)
        for line, place in enumerate(last.tolist()):
            labels[line, : place + prompt + 1] = -100
        return {**inputs, "labels": labels}

    return module, collate, pq.read_table(folder / PAGES).to_pylist()


def run_without_cache(folder: Path, epochs: int) -> dict[str, Any]:
    return run_ours(folder, epochs, cache=False)


def run_with_cache(folder: Path, epochs: int) -> dict[str, Any]:
    return run_ours(folder, epochs, cache=True)


def run_ours(folder: Path, epochs: int, *, cache: bool) -> dict[str, Any]:
    """An attempt as a pod runs it, but for its last save."""
    import pyarrow.parquet as pq

    from deepsynth_api.workload import TrainWorkload
    from deepsynth_train.attempt.run import run_attempt
    from deepsynth_train.coordination.progress import NoProgress
    from deepsynth_train.coordination.world import join_world

    rows = pq.read_metadata(folder / PAGES).num_rows
    meter = Meter(rows)
    steps = rows // (BATCH * ACCUMULATION)

    class Clock(NoProgress):
        def phase(self, name: Any) -> None:
            if name == "start":
                meter.start()

        def step(self, report: Any) -> None:
            meter.wait_for(report.data_wait_share)
            if report.step % steps == 0:
                meter.end_epoch()

    os.environ["DEEPSYNTH_CACHE"] = str(folder / f"cache-{cache}")
    run_attempt(
        TrainWorkload.model_validate(
            {
                "name": "benchmark",
                "namespace": "default",
                "uid": f"benchmark-{cache}",
                "model": {"uri": f"file://{folder}/model", "freeze": ["vision"]},
                "datasets": [{"name": "pages", "uri": f"file://{folder}/pages", "validationSplit": ""}],
                "task": "ocr",
                "precision": "fp32",
                "imageProcessor": {"size": SIDE},
                "numNodes": 1,
                "numProcPerNode": 1,
                "attempt": 1,
                "fingerprint": "f" * 64,
                "checkpoint": {"uri": f"file://{folder}/run-{cache}", "everySteps": FOREVER},
                "outputUri": f"file://{folder}/output-{cache}",
                "optimizer": {"learningRate": "0.0001"},
                "globalBatchSize": BATCH * ACCUMULATION,
                "microBatchSize": BATCH,
                "epochs": epochs,
                "featureCache": {} if cache else None,
            }
        ),
        join_world(),
        Clock(),
        lambda: False,
    )
    return meter.report()


def split(rows: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


CONTESTANTS: Final[dict[str, Callable[[Path, int], dict[str, Any]]]] = {
    "naive": run_naive,
    "trainer": run_trainer,
    "padded": run_padded,
    "no cache": run_without_cache,
    "DeepSynth": run_with_cache,
}


if __name__ == "__main__":
    main()
