"""Settings of training runs that must work together, chosen so that each pair of choices occurs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from itertools import combinations, product, starmap
from typing import TYPE_CHECKING, Any

from support.training.train_workloads import build_train_workload

if TYPE_CHECKING:
    from pathlib import Path

STEPS = 3
LEARNING_RATE = 0.003
_ADAPTERS: dict[str, dict[str, Any]] = {
    "attention": {"target_modules": ["*att*"]},
    "everywhere": {"target_modules": ["*"], "use_rslora": True},
    "dora": {"target_modules": ["*att*"], "use_dora": True},
}


@dataclass(frozen=True)
class Combination:
    """Settings of one run. The base models are in the folders `root`/ocr2 and `root`/vit, the pages in `root`/pages."""

    family: str
    sharding: str
    lora: str
    freeze: tuple[str, ...]
    precision: str
    gradient_checkpointing: bool
    compile: bool
    generation: bool
    resume: bool
    export: str

    @property
    def name(self) -> str:
        return " ".join(_list_choices(self))

    def build_reference(self) -> Combination:
        """Without all that must not change the result."""
        return replace(self, sharding="none", gradient_checkpointing=False, compile=False, resume=False)

    def build_document(self, root: Path, folder: Path, attempt: int = 1) -> str:
        """A workload of STEPS steps, evaluated before and after. A second rank has a sample less than the first."""
        publish = {"uri": f"file://{folder}/published", "format": self.export}
        lora = {"rank": 2, "alpha": 4, "dropout": "0", **_ADAPTERS[self.lora]} if self.lora else None
        return build_train_workload(
            folder,
            attempt=attempt,
            uid=folder.name,
            model={
                "uri": f"file://{root}/{self.family}",
                "freeze": list(self.freeze),
                "lora": lora,
            },
            task="summarize" if self.family == "ocr2" else "ocr",
            datasets=[{"name": "d", "uri": f"file://{root}/pages", "validation_split": "validation"}],
            image_processor={"size": 64} if self.family == "ocr2" else {},
            sharding=self.sharding,
            precision=self.precision,
            gradient_checkpointing=self.gradient_checkpointing,
            compile=self.compile,
            global_batch_size=3,
            micro_batch_size=1,
            max_steps=STEPS,
            optimizer={"learning_rate": str(LEARNING_RATE)},
            evaluation={
                "every_steps": STEPS,
                "max_samples": 3,
                "max_new_tokens": 5,
                "metrics": ["loss", "cer"] if self.generation else ["loss"],
                "samples": 0,
            },
            checkpoint={"uri": f"file://{folder}/checkpoints", "every_steps": 2},
            publish=publish,
        ).to_json()


CHOICES: dict[str, tuple[Any, ...]] = {
    "family": ("ocr2", "vit"),
    "sharding": ("full", "none"),
    "lora": ("attention", "", "everywhere", "dora"),
    "freeze": ((), ("vision",), ("language",)),
    "precision": ("fp32", "bf16", "fp16"),
    "gradient_checkpointing": (False, True),
    "compile": (False, True),
    "generation": (False, True),
    "resume": (False, True),
    "export": ("merged", "adapter"),
}


def cover_pairs(*, slow: bool) -> list[Combination]:
    """Few combinations with each pair of choices. Greedy: the next one has the most pairs that are missing.

    slow: also compile the larger model, which takes a minute.
    """
    possible = [each for each in starmap(Combination, product(*CHOICES.values())) if _is_possible(each)]
    if not slow:
        possible = [each for each in possible if not (each.compile and each.family == "ocr2")]
    pairs = {each: set(combinations(_list_choices(each), 2)) for each in possible}
    missing = set().union(*pairs.values())
    chosen = []
    while missing:
        chosen.append(max(possible, key=lambda each: len(missing & pairs[each])))  # the first of equal ones
        missing -= pairs[chosen[-1]]
    return chosen


def _is_possible(combination: Combination) -> bool:
    """Only a run with adapters can publish them."""
    return combination.export == "merged" or bool(combination.lora)


def _list_choices(combination: Combination) -> list[str]:
    return [f"{name}={value}" for name, value in asdict(combination).items()]
