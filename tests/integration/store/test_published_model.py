"""A model that a run publishes to the Hub is one commit with its card, and is read from there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from huggingface_hub import constants

from deepsynth_api.v1alpha1 import ModelSettings
from support.training.page_dataset import build_document, draw_page, write_dataset

if TYPE_CHECKING:
    from pathlib import Path

    from support.store.hub_server.server import HubServer


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "cache"))


def test_a_model_is_published_with_its_card_and_read_from_the_hub(hub: HubServer, tmp_path: Path) -> None:
    from deepsynth_train import create_trainer, load_model
    from deepsynth_train.models.card.base_model import find_base_model

    rows = [row for number in range(5) for row in build_document(number)]
    pages = write_dataset(tmp_path / "pages", {"train": rows, "validation": rows[:2]})
    trainer = create_trainer(
        "config://vit-gpt2-tiny",
        pages,
        task="ocr",
        max_steps=1,
        precision="fp32",
        checkpoint=tmp_path / "run",
        publish="hf://someone/reader",
        evaluation={"max_new_tokens": 5},
        progress="none",
    )
    result = trainer.train()
    assert result.output is not None
    commit = result.output.revision
    assert commit
    page = draw_page("A")
    reader = load_model("hf://someone/reader", revision=commit)
    assert reader.read([page]) == load_model(tmp_path / "run/model").read([page])
    assert reader.module.name_or_path == "someone/reader"
    assert reader.module.config._commit_hash == commit
    base = find_base_model(ModelSettings(uri="hf://someone/reader"), reader.module)
    assert (base.name, base.revision) == ("someone/reader", commit)
    assert base.card["pipeline_tag"] == "image-to-text", "the next run reads the card from the cache"
    assert 'from_pretrained("someone/reader")' in (tmp_path / "run/model/README.md").read_text()
    assert json.loads((tmp_path / "run/model/deepsynth.json").read_text())["step"] == 1
