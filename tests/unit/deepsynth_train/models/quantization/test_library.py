"""bitsandbytes is imported only when a setting needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from deepsynth_api.errors import ConfigurationError


def test_a_missing_library_is_named_with_the_field_and_three_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    from deepsynth_train.models.quantization.library import import_bitsandbytes

    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ConfigurationError) as caught:
        import_bitsandbytes("spec.optimizer.type", "adamw8bit", "adamw")
    assert str(caught.value) == (
        "spec.optimizer.type: adamw8bit needs bitsandbytes, which is not installed; run `pip install bitsandbytes`, "
        "use an image with it (spec.image), or set adamw"
    )


def test_a_run_that_does_not_need_the_library_does_not_import_it() -> None:
    program = "import sys, deepsynth_train.attempt; assert 'bitsandbytes' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


ADD_ADAPTERS = """
from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train.models.build import build_page_model

model, checkpoint = {"uri": "config://vit-gpt2-tiny", "lora": {}}, {"uri": "pvc://claim"}
build_page_model(TrainingSettings.model_validate({"model": model, "task": "ocr", "checkpoint": checkpoint}))
"""


def test_adapters_are_added_without_a_warning_of_the_library() -> None:
    """peft imports it, and it warns on machines without a GPU."""
    done = subprocess.run([sys.executable, "-c", ADD_ADAPTERS], capture_output=True, text=True, check=True)
    assert done.stderr == ""
