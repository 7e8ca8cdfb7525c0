"""What a user writes in Python, and what is refused with which words. Fast: no torch."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train import TrainConfig


def build(**changes: Any) -> TrainConfig:
    return TrainConfig.model_validate({"model": "config://vit-gpt2-tiny", "checkpoint": "runs/first", **changes})


def refuse(**changes: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        build(**changes)
    return caught.value.message


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1e-4, "0.0001"),
        (1, "1"),
        (2e-5, "0.00002"),
        ("2e-5", "2e-5"),
        (Decimal("0.3"), "0.3"),
        (np.float32(1e-4), "0.0001"),
        (np.float64(0.5), "0.5"),
    ],
)
def test_numbers_become_the_decimal_strings_of_resources(number: Any, expected: str) -> None:
    assert build(optimizer={"learning_rate": number}).optimizer.learning_rate == expected


def test_numbers_are_accepted_in_lists_and_nested_settings() -> None:
    config = build(
        model={"uri": "config://vit-gpt2-tiny", "lora": {"dropout": 0.1}},
        optimizer={"betas": (0.9, 0.95), "warmup_ratio": 0, "weight_decay": 0.01, "max_grad_norm": 1.0},
    )
    assert config.model.lora
    assert config.model.lora.dropout == "0.1"
    assert config.optimizer.betas == ["0.9", "0.95"]
    assert (config.optimizer.warmup_ratio, config.optimizer.weight_decay) == ("0", "0.01")


def test_the_spec_of_a_resource_can_be_pasted() -> None:
    spec = {
        "model": {"uri": "hf://me/ocr", "lora": {"targetModules": ["q_proj"]}},
        "maxSteps": 3,
        "checkpoint": {"uri": "file:///tmp/run", "everySteps": 2},
        "optimizer": {"learningRate": "1e-4"},
    }
    config = TrainConfig.model_validate(spec)
    assert config.to_dict() == TrainingSettings.model_validate(spec).to_dict()


def test_folders_may_be_relative_or_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    config = build(
        checkpoint={"uri": "../first", "every_steps": 3},
        publish=Path("~/out"),
        tracking=[{"tensorboard": "logs"}, {"mlflow": "http://host"}],
    )
    assert config.checkpoint.uri == f"file://{tmp_path.parent}/first"
    assert config.publish
    assert config.publish.uri == "file:///home/me/out"
    assert [item.to_dict() for item in config.tracking] == [
        {"tensorboard": {"uri": f"file://{tmp_path}/logs"}},
        {"mlflow": {"uri": "http://host"}},
    ]


def test_a_model_is_a_folder_or_a_name_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/first").mkdir(parents=True)
    assert build(model="deepseek-community/DeepSeek-OCR-2").model.uri == "hf://deepseek-community/DeepSeek-OCR-2"
    assert build(model="runs/first").model.uri == f"file://{tmp_path}/runs/first"
    assert build(model=Path("model")).model.uri == f"file://{tmp_path}/model"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"learning_rate": 1e-4}, 'did you mean optimizer.learning_rate? Write optimizer={"learning_rate": ...}'),
        ({"learningRate": 1e-4}, "did you mean optimizer.learning_rate?"),
        ({"precison": "fp32"}, "precison: unknown argument; did you mean precision? Write precision=..."),
        ({"num_train_epochs": 3}, "did you mean epochs?"),
        ({"auto_find_batch_size": True}, 'did you mean micro_batch_size? Write micro_batch_size="auto"'),
        (
            {"per_device_train_batch_size": 3},
            "did you mean micro_batch_size? Write micro_batch_size=..., and global_batch_size=... for the samples",
        ),
        ({"bf16": True}, 'did you mean precision? Write precision="bf16"'),
        ({"fp16": True}, 'did you mean precision? Write precision="bf16"'),
        ({"bf16": False}, "did you mean precision? Write precision=..."),
        ({"adam_beta1": 0.9}, 'did you mean optimizer.betas? Write optimizer={"betas": ...}'),
        ({"load_in_4bit": True}, 'did you mean model.quantize? Write model={"uri": ..., "quantize": "nf4"}'),
        ({"resume_from_checkpoint": True}, "remove it: train() continues from the newest checkpoint"),
        ({"model": {"uri": "a/b", "lora": {"r": 4}}}, 'Write model={"uri": ..., "lora": {"rank": 4}}'),
        ({"lora_rank": 3}, 'did you mean model.lora.rank? Write model={"uri": ..., "lora": {"rank": ...}}'),
        ({"optimizer": {"lr": 1}}, "optimizer.lr: unknown argument; did you mean optimizer.learning_rate?"),
        ({"checkpoint": {"uri": "x", "everyStep": 1}}, "checkpoint.everyStep: unknown argument; did you mean check"),
        ({"model": {"uri": "a/b", "lora": {"ranks": 1}}}, "ranks: unknown argument; did you mean model.lora.rank?"),
        ({"tracking": [{"tensorbord": "x"}]}, "tracking[0].tensorbord: unknown argument"),
        ({"evaluation": {"foo": 1}}, "evaluation.foo: unknown argument; the arguments of evaluation are every_steps,"),
        ({"train_dataset": 1}, "train_dataset: not a setting; pass it to Trainer or create_trainer as data"),
        ({"foo": 1}, "foo: unknown argument; the arguments are model, task,"),
    ],
)
def test_an_unknown_argument_is_refused_with_the_nearest_name(changes: dict[str, Any], expected: str) -> None:
    assert expected in refuse(**changes)


def test_a_micro_batch_size_can_be_left_to_the_trainer() -> None:
    assert build(micro_batch_size="auto", global_batch_size=1).micro_batch_size == "auto"
    assert build(micro_batch_size=8).micro_batch_size == 8


def test_every_other_name_leads_to_an_argument_that_exists() -> None:
    from deepsynth_api.other_names import OTHER_NAMES
    from deepsynth_train.notebook.suggestions import list_paths

    assert set(OTHER_NAMES.values()) <= set(list_paths(TrainConfig))
    assert not set(OTHER_NAMES) & set(TrainConfig.model_fields)


def test_arguments_of_the_trainer_are_those_that_it_has() -> None:
    from inspect import signature

    from deepsynth_train import Trainer, create_trainer
    from deepsynth_train.notebook.suggestions import TRAINER_NAMES

    for function in (Trainer, create_trainer):
        assert set(TRAINER_NAMES.values()) <= set(signature(function).parameters)
    assert not set(TRAINER_NAMES) & set(TrainConfig.model_fields)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"optimizer": {"learning_rate": "fast"}}, "must be a number, at least 0, such as 0.0002 or 2e-4, got 'fast'"),
        ({"optimizer": {"betas": [2, 0]}}, "optimizer.betas[0]: must be a number from 0 to 1, such as 0.05, got '2'"),
        ({"optimizer": {"schedule": "cos"}}, "schedule: should be 'cosine', 'linear' or 'constant', got 'cos'"),
        ({"micro_batch_size": 0}, "micro_batch_size: must be an integer of at least 1, or auto, got 0"),
        ({"micro_batch_size": "max"}, "micro_batch_size: must be an integer of at least 1, or auto, got 'max'"),
        ({"max_steps": 0}, "max_steps: should be greater than or equal to 1, got 0"),
        ({"model": "config://none"}, "model.uri: must be hf://OWNER/NAME"),
        ({"checkpoint": {}}, "checkpoint.uri: is missing (Where the checkpoints are: "),
        ({"epochs": "x", "precision": "fp8"}, "; "),
        ({"epochs": "x"}, "epochs: must be a whole number, got 'x'"),
        ({"compile": "perhaps"}, "compile: must be True or False, got 'perhaps'"),
        ({"evaluation": {"metrics": "cer"}}, "evaluation.metrics: must be a list, got 'cer'; write ['cer']"),
        (
            {"model": {"uri": "a/b", "lora": {"target_modules": "all-linear"}}},
            "model.lora.target_modules: must be a list, got 'all-linear'; write ['language.*']",
        ),
        (
            {"evaluation": {"early_stopping": 3}},
            'must be a dict of settings (metric, patience, min_delta), such as {"patience": ...}, got 3',
        ),
    ],
)
def test_a_wrong_value_is_refused_in_terms_of_the_argument(changes: dict[str, Any], expected: str) -> None:
    message = refuse(**changes)
    assert expected in message
    assert "pydantic" not in message


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"epochs": 1, "max_steps": 3}, "epochs: set epochs or max_steps, not both"),
        (
            {"global_batch_size": 2, "micro_batch_size": 4},
            "global_batch_size: must be at least micro_batch_size, got 2",
        ),
        (
            {"publish": {"uri": "me/ocr", "format": "adapter"}},
            'publish.format: "adapter" needs model.lora; set model.lora, or set format to "merged"',
        ),
        (
            {"optimizer": {"warmup_steps": 2, "warmup_ratio": 0.1}},
            "optimizer.warmup_ratio: set warmup_steps or warmup_ratio, not both",
        ),
        ({"optimizer": {"learning_rate": 5}}, "optimizer.learning_rate: must be above 0 and at most 1, got 5"),
        ({"optimizer": {"weight_decay": 2}}, "optimizer.weight_decay: must be at most 1, got 2"),
        ({"optimizer": {"betas": [0.9, 1]}}, "optimizer.betas: must be below 1, got 0.9, 1"),
        ({"evaluation": {"best_metric": "cer"}}, "evaluation.best_metric: cer must also be in evaluation.metrics"),
        (
            {"evaluation": {"early_stopping": {"patience": 2, "metric": "wer"}}},
            "evaluation.early_stopping.metric: wer must also be in evaluation.metrics",
        ),
        (
            {
                "evaluation": {"early_stopping": {"patience": 2}},
                "checkpoint": {"uri": "runs/first", "keep_best": False},
            },
            "checkpoint.keep_best: must be True with evaluation.early_stopping",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused_at_once(changes: dict[str, Any], expected: str) -> None:
    assert refuse(**changes) == expected


def test_a_missing_model_folder_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    from deepsynth_train.notebook.arguments import check_model_folder

    (tmp_path / "my-model").mkdir()
    check_model_folder(f"file://{tmp_path}/my-model")
    check_model_folder("hf://my/models")
    with pytest.raises(
        ConfigurationError, match=rf"^model: no folder .*my-models; did you mean {tmp_path}/my-model\?$"
    ):
        check_model_folder(f"file://{tmp_path}/my-models")
    with pytest.raises(ConfigurationError, match="name one with a model, or OWNER/NAME on the Hub"):
        check_model_folder("file:///no/such/folder")


def test_a_loaded_model_is_refused_without_printing_it() -> None:
    class Model:
        def save_pretrained(self) -> None: ...

    assert refuse(model=Model()) == (
        "model: must be a folder or a name on the Hub, got a model; save it and give its folder"
    )
    assert refuse(publish=Model()).endswith("got Model")


def test_booleans_are_not_numbers() -> None:
    assert "optimizer.learning_rate" in refuse(optimizer={"learning_rate": True})


def test_errors_of_an_attempt_name_arguments() -> None:
    from deepsynth_train.notebook.errors import rename_fields

    assert rename_fields(
        "spec.datasets[pages] (train split): too long; raise spec.maxLabelTokens or lower spec.optimizer.learningRate"
    ) == "data (train split): too long; raise max_label_tokens or lower optimizer.learning_rate"  # fmt: skip
    assert rename_fields("spec.datasets[pages].trainSplit: no split") == "train_split: no split"
    assert rename_fields("spec.checkpoint.uri: /runs/myModel is in use") == "checkpoint: /runs/myModel is in use"
    assert rename_fields("spec: set epochs or maxSteps, not both") == "TrainConfig: set epochs or max_steps, not both"


def test_help_describes_every_argument_with_its_default() -> None:
    text = str(TrainConfig.__doc__)
    assert "\n    optimizer.learning_rate: Peak learning rate: " in text
    assert "Default: 0.0002." in text
    assert "\n    model.lora.rank: " in text
    assert "warmup_ratio" in text
    assert "warmupRatio" not in text
    assert "secret_ref" not in text
