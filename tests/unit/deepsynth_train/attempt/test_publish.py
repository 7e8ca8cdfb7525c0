from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deepsynth_train.attempt.publish import build_writer
from support.training.tiny_training import OCR2, VIT, build_model, build_world
from support.training.train_workloads import build_train_workload

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("uri", "targets"), [(OCR2, ["language.*"]), (VIT, ["c_fc"])], ids=["experts", "layers"])
def test_adapters_are_written_while_forward_passes_change_the_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, targets: list[str]
) -> None:
    from deepsynth_train.models.export import write_model

    model_settings = {"uri": uri, "lora": {"rank": 2, "alpha": 4, "target_modules": targets}}
    model = build_model(uri, model=model_settings)
    tensors = {name: p.detach().clone() for name, p in model.module.named_parameters() if p.requires_grad}
    write_model(model, tmp_path / "still", dict(tensors))
    write = build_writer(build_train_workload(tmp_path, model=model_settings), model, build_world())
    assert write

    def fail() -> None:
        raise RuntimeError("dictionary changed size during iteration")

    for part in model.module.modules():
        monkeypatch.setattr(part, "named_modules", fail, raising=False)
    write(tmp_path / "training", dict(tensors))
    names = sorted(path.name for path in (tmp_path / "still").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "training").iterdir())
    for name in names:
        assert (tmp_path / "still" / name).read_bytes() == (tmp_path / "training" / name).read_bytes(), name
