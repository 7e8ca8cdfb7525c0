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
