"""The sample code of a card. Tests run it as it stands there."""

from deepsynth_train.models.card.base_model import BaseModel
from deepsynth_train.models.card.markdown import fence

_IMPORTS = """\
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
"""
_MODEL = """\
model = AutoModelForImageTextToText.from_pretrained({name}, dtype="auto")
"""
_ADAPTER_IMPORTS = """\
from peft import PeftModel
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, GenerationConfig
"""
_ADAPTERS = """\
model = AutoModelForImageTextToText.from_pretrained({base}, dtype="auto")
model.generation_config = GenerationConfig.from_pretrained({name})
model = PeftModel.from_pretrained(model, {name})
"""
_CHAT = """\
content = [{{"type": "image", "image": page}}, {{"type": "text", "text": {prompt}}}]
messages = [{{"role": "user", "content": content}}]
inputs = processor.apply_chat_template(
    messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
).to(model.device, dtype=model.dtype)
ids = model.generate(**inputs)[:, inputs["input_ids"].shape[1] :]
"""
_PAGE_ONLY = """\
inputs = processor(images=page, return_tensors="pt").to(model.device, dtype=model.dtype)
ids = model.generate(**inputs)
"""
_NOTES = """\
The processor takes pages of any size. It scales them with torchvision if that is installed, otherwise with PIL; the
pixels differ by rounding. `AutoProcessor.from_pretrained({name}, backend="pil")` always uses PIL.
"""


_SEVERAL_PAGES = """\

The pages of a longer document are several images in one message, in their order.
"""


def build_usage(name: str, prompt: str | None, base: BaseModel | None) -> str:
    """Code that reads page.png.

    name: of the published model, for `from_pretrained`. prompt: None for a model without one. base: the model that
    published adapters need; None if the weights themselves are published.
    """
    named = _quote(name)
    if base is None:
        imports, model = _IMPORTS, _MODEL.format(name=named)
    else:
        revision = f", revision={_quote(base.revision)}" if base.revision else ""
        source = f"{_quote(base.name)}{revision}" if base.name else '"path/to/the/base/model"'
        imports, model = _ADAPTER_IMPORTS, _ADAPTERS.format(name=named, base=source)
    read = _PAGE_ONLY if prompt is None else _CHAT.format(prompt=_quote(prompt))
    code = f"""\
{imports}
processor = AutoProcessor.from_pretrained({named})
{model}
page = Image.open("page.png").convert("RGB")
{read}print(processor.batch_decode(ids, skip_special_tokens=True)[0])"""
    notes = _NOTES.format(name=named) + ("" if prompt is None else _SEVERAL_PAGES)
    return f"{fence(code, 'python')}\n\n{notes}"


def _quote(text: str) -> str:
    """A Python literal, with double quotes where that needs no escape."""
    return repr(text) if '"' in text or "\\" in repr(text) else f'"{text}"'
