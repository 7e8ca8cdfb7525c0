"""What other libraries call the settings of a training, so that a message can name the field that was meant."""

from collections.abc import Mapping
from typing import Final

OTHER_NAMES: Final[Mapping[str, str]] = {
    "adam_beta1": "optimizer.betas",
    "adam_beta2": "optimizer.betas",
    "auto_find_batch_size": "micro_batch_size",
    "batch_size": "global_batch_size",
    "bf16": "precision",
    "eval_steps": "evaluation.every_steps",
    "fp16": "precision",
    "gradient_accumulation_steps": "global_batch_size",
    "hub_model_id": "publish",
    "load_best_model_at_end": "checkpoint.keep_best",
    "load_in_4bit": "model.quantize",
    "logging_dir": "tracking",
    "lora_r": "model.lora.rank",
    "lr": "optimizer.learning_rate",
    "lr_scheduler_type": "optimizer.schedule",
    "max_length": "max_sequence_tokens",
    "model_name_or_path": "model",
    "num_epochs": "epochs",
    "num_train_epochs": "epochs",
    "optim": "optimizer.type",
    "output_dir": "checkpoint",
    "peft_config": "model.lora",
    "per_device_train_batch_size": "micro_batch_size",
    "push_to_hub": "publish",
    "quantization": "model.quantize",
    "quantization_config": "model.quantize",
    "r": "model.lora.rank",
    "report_to": "tracking",
    "save_steps": "checkpoint.every_steps",
    "save_total_limit": "checkpoint.keep_last",
    "torch_compile": "compile",
}
"""Names in transformers' TrainingArguments and in peft -> paths in TrainingSettings."""

OTHER_VALUES: Final[Mapping[str, str]] = {
    "auto_find_batch_size": "auto",
    "bf16": "bf16",
    "fp16": "bf16",
    "load_in_4bit": "nf4",
}
"""The value that a name stands for, where it is a switch there."""
