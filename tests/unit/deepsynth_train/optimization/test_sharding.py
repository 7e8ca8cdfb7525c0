from __future__ import annotations

from contextlib import nullcontext
from functools import partialmethod

import pytest

from support.training.tiny_training import VIT, build_model, build_samples, build_settings, build_world


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch's own, while it compiles
def test_layers_stay_compiled_on_batches_of_mixed_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without gradients too: an evaluation needs other graphs."""
    import torch
    from torch._dynamo import config
    from torch._dynamo.utils import counters

    from deepsynth_train.optimization.loss import compute_loss_sum
    from deepsynth_train.optimization.sharding import place_module

    monkeypatch.setattr(torch.nn.Module, "compile", partialmethod(torch.nn.Module.compile, backend="eager"))
    model = build_model(VIT)
    graphs = []
    with config.patch(fail_on_recompile_limit_hit=True, recompile_limit=8):
        place_module(model.module, build_settings(VIT, compile=True), build_world())
        counters.clear()
        for round_ in range(3):
            for size in (2, 1, 3, 4):
                batch = model.family.collate(build_samples(model, size, seed=10 * round_ + size))
                compute_loss_sum(model, batch, nullcontext).backward()  # type: ignore[no-untyped-call]  # torch
                with torch.no_grad():
                    compute_loss_sum(model, batch, nullcontext)
            graphs.append(counters["stats"]["unique_graphs"])
    assert graphs[0] > 8, "torch's own limit would be enough for this model"
    assert graphs[1] == graphs[2]
