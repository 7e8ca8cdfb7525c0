"""What a model needs to be used as it was trained, with no argument from its user: chat template, generation settings.

Both are part of the published folder: chat_template.jinja and generation_config.json.
"""

from typing import Any, Final

_MARK: Final = "{#- Without a text, the trained prompt. -#}\n"
_TEMPLATE: Final = """\
{%- for message in messages -%}
{%- set parts = [message.content] if message.content is mapping else message.content -%}
{%- if parts is string -%}
{{ parts }}
{%- else -%}
{%- for part in parts if part.type == "image" -%}
{{ IMAGE }}
{%- endfor -%}
{%- set texts = parts | selectattr("text", "defined") | map(attribute="text") | select | list -%}
{{ "\\n" + (texts | join("\\n") if texts else PROMPT) }}
{%- endif -%}
{%- endfor -%}
"""
"""Images, a line break and the text; PROMPT for a message without text. The tokenizer adds BOS."""


def build_chat_template(image_token: str, prompt: str) -> str:
    r"""A Jinja template of the model's input: the images of a message, then its text, or `prompt` if it has none.

    [{"role": "user", "content": [{"type": "image"}, {"type": "text"}]}]     "<image>\nFree OCR."
    """
    return _MARK + _TEMPLATE.replace("IMAGE", _quote(image_token)).replace("PROMPT", _quote(prompt))


def has_default_prompt(chat_template: str | None) -> bool:
    """Whether a message without a text asks what the model was trained with."""
    return chat_template is not None and chat_template.startswith(_MARK.rstrip())


def set_generation(module: Any, tokenizer: Any, max_new_tokens: int) -> None:
    """Make `generate` without arguments write what the evaluation writes: greedily, at most `max_new_tokens`."""
    config = module.generation_config
    config.do_sample = False
    config.num_beams = 1
    for sampling in ("temperature", "top_p", "top_k"):
        setattr(config, sampling, None)
    config.max_length = None
    config._from_model_config = False  # noqa: SLF001 - otherwise the library may replace it by the model's
    config.max_new_tokens = max_new_tokens
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        if getattr(config, name) is None:
            setattr(config, name, getattr(tokenizer, name))


def _quote(text: str) -> str:
    """A string literal of Jinja, with every character that could mean something there written as an escape."""
    plain = " .,:;!?-_<>|/()"
    return '"' + "".join(c if (c.isascii() and c.isalnum()) or c in plain else f"\\U{ord(c):08x}" for c in text) + '"'
