"""load_model: read pages with a trained model, or with any model that reads pages.

The model gets what its published processor and chat template make of a page, so this writes what anyone gets who opens
the folder with transformers.
"""

import io
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image
from pydantic import ValidationError

from deepsynth_api.errors import ConfigurationError, DataError, WorkloadError
from deepsynth_api.v1alpha1 import ModelSettings
from deepsynth_api.v1alpha1.settings.model_settings import MODEL_REMEDY
from deepsynth_train.data.files.images import read_page
from deepsynth_train.models.interface.inference import has_default_prompt
from deepsynth_train.models.interface.prompts import PROMPTS, set_chat_template
from deepsynth_train.models.opening import open_model
from deepsynth_train.notebook.arguments import check_model_folder, expand_model
from deepsynth_train.notebook.errors import name_arguments

Page = Image.Image | str | Path | bytes
"""An image, the path of one, or its encoded bytes."""

MAX_NEW_TOKENS: Final = 1024
"""For models that do not say how much they write."""
_FLAT: Final = frozenset({"got_ocr2"})
"""Models (`model_type`) whose processors take one image per text, and not a list of images per text."""
_MAX_RATIO: Final = 100
"""Of the sides of a page."""
_ORIENTATION: Final = 0x0112


@dataclass(frozen=True)
class Reading:
    """What the model wrote for a page or a document.

    tokens: without the one that ends a text. is_complete: the model ended the text itself, before max_new_tokens.
    seconds: this text's share of the time of its batch.
    """

    text: str
    tokens: int
    is_complete: bool
    seconds: float


class Reader:
    """Reads pages with one model. Built by `load_model`.

    module, processor: of transformers, or peft's wrapper of a module. prompt: what the model was trained to be asked;
    None: what its chat template says.
    """

    def __init__(self, module: Any, processor: Any, prompt: str | None) -> None:
        self.module = module
        self.processor = processor
        self.prompt = prompt
        self._is_decoder = not module.config.is_encoder_decoder
        if self._is_decoder:
            set_chat_template(processor, module.config.model_type, prompt or PROMPTS["ocr"])
            processor.tokenizer.padding_side = "left"  # generated tokens must follow the prompt

    @property
    def reads_documents(self) -> bool:
        """Whether the model takes several pages at once."""
        return self._is_decoder

    def read(
        self,
        pages: Page | Sequence[Page | Sequence[Page]],
        *,
        prompt: str | None = None,
        max_new_tokens: int | None = None,
        batch_size: int = 8,
    ) -> list[str]:
        """The text of each page; a single page is a list of one. A list of pages in the list is one document, with one
        text.

        prompt: asked instead of the trained one. max_new_tokens: default: as many as in the model's generation
        settings. batch_size: pages that are read at once. Raises DataError for a page that cannot be decoded.
        """
        readings = self.iter_readings(pages, prompt=prompt, max_new_tokens=max_new_tokens, batch_size=batch_size)
        return [reading.text for reading in readings]

    def iter_readings(
        self,
        pages: Page | Sequence[Page | Sequence[Page]],
        *,
        prompt: str | None = None,
        max_new_tokens: int | None = None,
        batch_size: int = 8,
    ) -> Iterator[Reading]:
        """As `read`, with more about each text, and batch after batch."""
        items = [pages] if isinstance(pages, Image.Image | str | Path | bytes) else pages
        documents: list[list[Page]] = [_list_pages(item) for item in items]
        for batch in _split(documents, batch_size):
            opened = [[_open_page(page, number) for page in document] for number, document in batch]
            yield from self._read_batch(opened, prompt, max_new_tokens)

    def _read_batch(
        self, documents: Sequence[Sequence[Image.Image]], prompt: str | None, max_new_tokens: int | None
    ) -> list[Reading]:
        start = time.perf_counter()
        inputs = self._build_inputs(documents, prompt)
        length = inputs["input_ids"].shape[1] if self._is_decoder else 1  # an encoder-decoder writes its start token
        config = self.module.generation_config
        limit = max_new_tokens or config.max_new_tokens or MAX_NEW_TOKENS
        with torch.inference_mode():
            ids = self.module.generate(**inputs, max_new_tokens=limit, do_sample=False, num_beams=1)  # (B, T)
        texts = self.processor.batch_decode(ids[:, length:], skip_special_tokens=True)
        seconds = (time.perf_counter() - start) / len(documents)
        ends = {config.eos_token_id} if isinstance(config.eos_token_id, int) else set(config.eos_token_id or ())
        counts = [_count_tokens(row, ends) for row in ids[:, length:].tolist()]
        return [Reading(text, *count, seconds) for text, count in zip(texts, counts, strict=True)]

    def _build_inputs(self, documents: Sequence[Sequence[Image.Image]], prompt: str | None) -> Any:
        if self._is_decoder:
            texts = [self._render(len(pages), prompt) for pages in documents]
            inputs = self.processor(
                text=texts,
                images=self._arrange(documents),
                padding=True,
                add_special_tokens=not texts[0].startswith(self.processor.tokenizer.bos_token or "\0"),
                return_tensors="pt",
            )
        else:
            if prompt is not None:
                raise ConfigurationError("prompt: an encoder-decoder model takes none; leave it out")
            if any(len(pages) != 1 for pages in documents):
                raise ConfigurationError("pages: this model reads one page at a time; pass the pages one by one")
            inputs = self.processor(images=[pages[0] for pages in documents], return_tensors="pt")
        return inputs.to(self.module.device, dtype=self.module.dtype)

    def _arrange(self, documents: Sequence[Sequence[Image.Image]]) -> list[Any]:
        if self.module.config.model_type in _FLAT:
            return [page for pages in documents for page in pages]
        return [list(pages) for pages in documents]

    def _render(self, pages: int, prompt: str | None) -> str:
        asked = self.prompt if prompt is None else prompt
        if asked is None and not has_default_prompt(self.processor.chat_template):
            asked = PROMPTS["ocr"]
        text = {"type": "text"} if asked is None else {"type": "text", "text": asked}
        messages = [{"role": "user", "content": [*[{"type": "image"}] * pages, text]}]
        return str(self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))


def load_model(model: str | Path, *, revision: str | None = None, device: str | torch.device | None = None) -> Reader:
    """Open a model to read pages with.

        load_model("runs/first/model").read(["page-1.png", "page-2.png"])

    model: a folder, a name on the Hub (OWNER/NAME, hf://OWNER/NAME) or another URI of spec.model; a model, or adapters
    that were published without their base. revision: branch, tag or commit on the Hub. device: default: the GPU, if
    there is one. Raises ConfigurationError for a model that does not exist, does not fit its files or is not supported.
    """
    found = _find_device(device)
    try:
        settings = ModelSettings(uri=expand_model(model), revision=revision)
    except ValidationError as error:
        if error.errors()[0]["loc"] == ("revision",):
            raise ConfigurationError(f"revision: must be a branch, tag or commit, got {revision!r}") from error
        raise ConfigurationError(f"model: {MODEL_REMEDY}, or a folder; got {str(model)!r}") from error
    check_model_folder(settings.uri)
    with name_arguments(), _name_missing_folder(str(model), settings.uri):
        return Reader(*open_model(settings, found))


@contextmanager
def _name_missing_folder(given: str, uri: str) -> Iterator[None]:
    """`runs/first` can be a folder or a model on the Hub, so an error of the Hub says that there is no such folder."""
    try:
        yield
    except WorkloadError as error:
        if uri == f"hf://{given}":
            error.message += f"; there is no folder {given} either"
            error.args = (error.message,)
        raise


def _find_device(device: str | torch.device | None) -> torch.device:
    has_gpu = torch.cuda.is_available()
    try:
        found = torch.device(device or ("cuda" if has_gpu else "cpu"))
    except RuntimeError as error:
        raise ConfigurationError(f"device: must be cpu, cuda or cuda:N, got {device!r}") from error
    if found.type == "cuda" and not 0 <= (found.index or 0) < torch.cuda.device_count():
        raise ConfigurationError(f"device: no GPU {str(found)!r} was found; choose another, or cpu")
    return found


def _list_pages(item: Page | Sequence[Page]) -> list[Page]:
    return [item] if isinstance(item, Image.Image | str | Path | bytes) else list(item)


def _split(documents: Sequence[list[Page]], limit: int) -> Iterator[list[tuple[int, list[Page]]]]:
    """Consecutive documents with their numbers, of at most `limit` pages together, or one with more."""
    batch: list[tuple[int, list[Page]]] = []
    pages = 0
    for number, document in enumerate(documents):
        if not document:
            raise DataError(f"pages[{number}]: a document needs at least one page")
        if batch and pages + len(document) > limit:
            yield batch
            batch, pages = [], 0
        batch.append((number, document))
        pages += len(document)
    if batch:
        yield batch


def _open_page(page: Page, number: int) -> Image.Image:
    """As a viewer shows it, which is how pages are read in training."""
    if isinstance(page, Image.Image):
        return _widen(_read_image(page, f"pages[{number}]"))
    if isinstance(page, bytes):
        return _widen(read_page(page, f"pages[{number}]").convert("RGB"))
    try:
        return _widen(read_page(Path(page).read_bytes(), str(page)).convert("RGB"))
    except OSError as error:
        raise DataError(f"{page}: cannot be read: {error.strerror or error}") from error


def _widen(page: Image.Image) -> Image.Image:
    """Processors fail for a strip of which less than half a pixel would be left; training keeps one pixel."""
    least = max(page.size) // _MAX_RATIO
    return page if min(page.size) >= least else page.resize((max(page.width, least), max(page.height, least)))


def _read_image(image: Image.Image, where: str) -> Image.Image:
    exif = image.getexif()
    if image.mode in {"L", "RGB"} and not image.has_transparency_data and exif.get(_ORIENTATION, 1) == 1:
        return image.convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    return read_page(buffer.getvalue(), where).convert("RGB")


def _count_tokens(ids: Sequence[int], ends: set[int]) -> tuple[int, bool]:
    """Tokens before the first that ends a text, and whether there is one."""
    place = next((place for place, number in enumerate(ids) if number in ends), None)
    return (len(ids), False) if place is None else (place, True)
