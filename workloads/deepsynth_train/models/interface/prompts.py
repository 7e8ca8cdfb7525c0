"""What the model is asked, as its chat template writes it.

<|user|> [image] [image]  Free OCR.  <|end|> <|assistant|>  the label  <|end|>
         Chat.before      prompt     Chat.after                        Chat.end

Models without a chat template get one, so that the published folder says what was asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train.models.interface.inference import build_chat_template

PROMPTS: Final = {"ocr": "Free OCR.", "summarize": "Summarize the document."}
"""By spec.task. The first is what DeepSeek-OCR was trained with."""
_MARK: Final = "Zq7RxV2k"
"""Shown to a template in the place of a text, to find where the text goes."""
_UNWRITTEN: Final = {
    "got_ocr2": (
        "<|im_start|>system\nYou should follow the instructions carefully and explain your answers in detail."
        "<|im_end|>{% for message in messages %}<|im_start|>{{ message.role }}\n"
        "{% set pages = message.content | selectattr('type', 'equalto', 'image') | list %}"
        "{% if pages %}<img>{{ '<imgpad>' * pages | length }}</img>\n{% endif %}"
        "{% for part in message.content if part.type == 'text' %}{{ part.text }}{% endfor %}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
}
"""Templates of models that were published without one, by model_type: what their processors write by themselves."""


def get_prompt(settings: TrainingSettings) -> str:
    return settings.prompt if settings.prompt is not None else PROMPTS[settings.task]


@dataclass(frozen=True)
class Chat:
    """before, after: what the template writes before the prompt, with all images, and after it. end: after a label."""

    before: str
    after: str
    end: str


def set_chat_template(processor: Any, model_type: str, prompt: str) -> None:
    """Give the processor a chat template if it has none, so that it is published with one.

    Raises ConfigurationError if none is known and the processor does not say which token is an image.
    """
    if processor.chat_template or getattr(processor.tokenizer, "chat_template", None):
        return
    if model_type in _UNWRITTEN:
        processor.chat_template = _UNWRITTEN[model_type]
    elif image_token := getattr(processor, "image_token", None):
        processor.chat_template = build_chat_template(image_token, prompt)
    else:
        raise ConfigurationError(
            f"spec.model.uri: the processor of this {model_type} model has no chat template; add chat_template.jinja "
            "to the model's folder"
        )


def render_chat(processor: Any, pages: int) -> Chat:
    """What the chat template writes for a user's message of `pages` images and a text."""
    asked = {"role": "user", "content": [*[{"type": "image"}] * pages, {"type": "text", "text": _MARK}]}
    answered = [asked, {"role": "assistant", "content": [{"type": "text", "text": _MARK}]}]
    before, after = _split(_render(processor, [asked], add_generation_prompt=True))
    _, end = _split(_render(processor, answered, add_generation_prompt=False))
    return Chat(before, after, end)


def _render(processor: Any, messages: Sequence[dict[str, Any]], *, add_generation_prompt: bool) -> str:
    from jinja2.exceptions import TemplateError

    try:
        return str(processor.apply_chat_template(list(messages), add_generation_prompt=add_generation_prompt))
    except (TemplateError, TypeError, ValueError, KeyError) as error:
        raise ConfigurationError(
            f"spec.model.uri: the chat template of the model does not take a page and a text ({error}); use another "
            "template"
        ) from error


def _split(text: str) -> tuple[str, str]:
    """Around the last mark: everything before it, and after it."""
    parts = text.split(_MARK)
    if len(parts) == 1:
        raise ConfigurationError(
            "spec.model.uri: the chat template of the model drops the text of a message; use another template"
        )
    return _MARK.join(parts[:-1]), parts[-1]
