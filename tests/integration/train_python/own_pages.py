"""Pages as a user has them, and what ranks run."""

from __future__ import annotations

import csv
import json
import os
from typing import TYPE_CHECKING

from support.training.page_dataset import draw_page

if TYPE_CHECKING:
    from pathlib import Path


def write_pages(folder: Path, count: int = 20) -> Path:
    """A folder of PNGs with a metadata.csv: page 7 shows and says "7"."""
    folder.mkdir(parents=True)
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "text"])
        for number in range(count):
            (folder / f"{number}.png").write_bytes(draw_page(str(number), (96, 64)))
            writer.writerow([f"{number}.png", str(number)])
    return folder


def train_on_rank(folder: Path) -> int:
    """What a script under torchrun runs. Writes what this rank returned and showed."""
    import contextlib
    import io

    from deepsynth_train import create_trainer

    os.environ["DEEPSYNTH_CACHE"] = str(folder / "cache")
    os.chdir(folder)
    seen: list[int] = []
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        trainer = create_trainer(
            "config://vit-gpt2-tiny",
            "my-pages",
            task="ocr",
            max_steps=3,
            precision="fp32",
            callbacks=[lambda report: seen.append(report.step)],
        )
        result = trainer.train()
        loss = trainer.evaluate()["validation_loss"]
    losses = [line["loss"] for line in result.history if "loss" in line]
    document = {"steps": result.step, "seen": seen, "losses": losses, "loss": loss, "shown": shown.getvalue()}
    (folder / f"rank-{os.environ['RANK']}.json").write_text(json.dumps(document))
    return 0
