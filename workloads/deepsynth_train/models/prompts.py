"""What the model is asked: the text of spec.prompt, or that of the task."""

from typing import Final

from deepsynth_api.v1alpha1 import TrainingSettings

PROMPTS: Final = {"ocr": "Free OCR.", "summarize": "Summarize the document."}
"""By spec.task. The first is what DeepSeek-OCR was trained with."""


def get_prompt(settings: TrainingSettings) -> str:
    return settings.prompt if settings.prompt is not None else PROMPTS[settings.task]
