"""From spec.model to the bare model and its processor.

Errors name the field and the file. A model is never trained from weights that were not in its files, and code that
comes with a model is never run.
"""

import errno
import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch

from deepsynth_api.errors import ConfigurationError, WorkloadError
from deepsynth_api.v1alpha1 import ModelSettings
from deepsynth_store import OnWait, fetch_folder
from deepsynth_store.cache.files import FileCache
from deepsynth_store.core.uri import FolderLocation, HubLocation, is_remote, parse_uri
from deepsynth_train.models.base_weights import (
    build_loading_arguments,
    forget_quantization,
    quantise_weights,
)
from deepsynth_train.models.families.deepseek_ocr1 import (
    OCR1_TYPE,
    build_processor,
    convert_config,
    is_deepseek_ocr1,
)
from deepsynth_train.models.families.registry import list_supported_types
from deepsynth_train.models.files.model_folder import CONFIG, FILES, NO_CODE, OTHER_FORMAT, SMALL_FILES, ModelFolder
from deepsynth_train.models.random.registry import build_random_model

logger = logging.getLogger(__name__)

FIELD: Final = "spec.model.uri"
CPU: Final = torch.device("cpu")
MAX_NAMES: Final = 5
"""Weights named in a message."""
_UNTRAINED: Final = re.compile(r"^encoder\.pooler\.")
"""Weights that no family uses, and that published models (TrOCR) lack."""


def load_module(
    settings: ModelSettings, device: torch.device = CPU, quantised: Collection[str] = ()
) -> tuple[Any, Any]:
    """The bare model, on `device` and in the dtype that it is stored in, and its processor.

    quantised: names of weights that become 4-bit tensors as they are read, so that the whole model is never in memory.

    Raises ConfigurationError for a model that does not exist, is not supported or does not fit its files, and
    TemporaryError when the Hub does not answer for minutes.
    """
    scheme, _, name = settings.uri.partition("://")
    if scheme == "config":
        module, processor = build_random_model(name, device, FIELD)
        quantise_weights(module, quantised)
        return module, processor
    with explain_model_errors(settings.uri):
        folder = fetch_model(settings)
        module, processor = _load_folder(folder, settings.uri, device, quantised)
        name_source(module, settings.uri, folder.path)
        return module, processor


def name_source(module: Any, uri: str, folder: Path) -> None:
    """Name a remote model by its repository or URI and its commit, not by its folder in the cache, so that what is made
    from it can say so: adapters, cards.
    """
    location = parse_uri(uri, FIELD)
    if not isinstance(location, FolderLocation):
        name = location.repo_id if isinstance(location, HubLocation) else uri
        module.name_or_path = module.config.name_or_path = name
        module.config._commit_hash = folder.name  # noqa: SLF001 - the library's name for it


def load_structure(settings: ModelSettings) -> tuple[Any, Any]:
    """The bare model on the meta device, where weights have shapes only, and its processor.

    Fetches no weights. Raises the errors of `load_module`, except those about weights.
    """
    from transformers import AutoModelForImageTextToText, PreTrainedModel
    from transformers.initialization import no_init_weights

    with torch.device("meta"), no_init_weights(), explain_model_errors(settings.uri):
        if settings.uri.startswith("config://"):
            module, processor = load_module(settings, torch.device("meta"))
        else:
            folder = fetch_model(settings, with_weights=False)
            config = _read_config(folder)
            models: Any = AutoModelForImageTextToText
            module = models.from_config(config, dtype=config.dtype or torch.float32)
            processor = _load_processor(folder, settings.uri)
            complete_tokens(module, processor.tokenizer, settings.uri)
    for part in module.modules():
        if isinstance(part, PreTrainedModel):
            part.tie_weights()
    return module, processor


@contextmanager
def explain_model_errors(uri: str) -> Iterator[None]:
    """Turn errors of the library about a model's files into ConfigurationError: another attempt would repeat them.

    Errors of memory, of the device and of the disk stay what they are.
    """
    try:
        yield
    except (WorkloadError, MemoryError, torch.OutOfMemoryError):
        raise
    except ImportError as error:
        reason = describe_first_line(error).partition(" but ")[0]
        raise ConfigurationError(
            f"{FIELD}: {uri} needs a package that is not installed ({reason}); build an image with it and "
            "set spec.image"
        ) from error
    except Exception as error:
        is_disk = isinstance(error, OSError) and error.errno not in {None, errno.ENOENT, errno.EISDIR, errno.ENOTDIR}
        if is_disk or type(error).__name__ == "AcceleratorError":
            raise
        logger.warning("cannot load %s", uri, exc_info=error)
        if "trust_remote_code" in str(error):  # its tokenizer or processor
            raise ConfigurationError(f"{FIELD}: {uri} {NO_CODE}; {OTHER_FORMAT}") from error
        raise ConfigurationError(
            f"{FIELD}: cannot load {uri} ({describe_first_line(error)}); check that its files belong together"
        ) from error


def describe_first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return re.sub(r"\s+", " ", text[0])[:500] if text else type(error).__name__


def fetch_model(
    settings: ModelSettings,
    *,
    with_weights: bool = True,
    on_wait: OnWait | None = None,
    on_progress: Callable[[], None] | None = None,
    cache: FileCache | None = None,
) -> ModelFolder:
    """The model's files on this machine. config.json comes first: most mistakes show before gigabytes are fetched.

    on_wait, on_progress, cache: as for fetch_folder. Not for a config:// model, which has no files.
    """
    from transformers import CONFIG_MAPPING

    for patterns in ((CONFIG, "adapter_config.json"), FILES if with_weights else SMALL_FILES):
        path = fetch_folder(
            settings.uri,
            settings.revision,
            patterns,
            field=FIELD,
            on_wait=on_wait,
            on_progress=on_progress,
            cache=cache,
        )
        settings = pin_commit(settings, path)
        folder = ModelFolder(path, settings.uri)
        config = folder.read_config()
        kind = OCR1_TYPE if is_deepseek_ocr1(config) else config.get("model_type")
        folder.check_kind(kind, config, CONFIG_MAPPING.keys(), list_supported_types())
    if with_weights:
        folder.check_files()
    return folder


def pin_commit(settings: ModelSettings, folder: Path) -> ModelSettings:
    """The settings with the commit that was fetched to `folder`, so that all that is read is of one commit, also while
    somebody pushes another.
    """
    return settings.updated(revision=folder.name) if is_remote(settings.uri) else settings


def _load_folder(folder: ModelFolder, uri: str, device: torch.device, quantised: Collection[str]) -> tuple[Any, Any]:
    from transformers import AutoModelForImageTextToText

    models: Any = AutoModelForImageTextToText
    with _silence_library():
        module, info = models.from_pretrained(
            folder.path,
            config=_read_config(folder),
            dtype="auto",
            device_map={"": device},
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # only to get their names
            **build_loading_arguments(quantised),
        )
        forget_quantization(module)
    check_weights(info, uri)
    processor = _load_processor(folder, uri)
    complete_tokens(module, processor.tokenizer, uri)
    return module, processor


def _read_config(folder: ModelFolder) -> Any:
    """The library's configuration of the model."""
    from transformers import AutoConfig

    config = folder.read_config()
    return (
        convert_config(config)
        if is_deepseek_ocr1(config)
        else AutoConfig.from_pretrained(folder.path, trust_remote_code=False)
    )


@contextmanager
def _silence_library() -> Iterator[None]:
    """Keep the library from printing a bar, and a table of the weights that do not fit, which `check_weights` names.
    Without that table it lists all weights instead, as not split over processes, so that is silenced too.
    """
    from transformers.utils import logging as library_logging

    has_bar = library_logging.is_progress_bar_enabled()
    library_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # untyped
    libraries = [logging.getLogger(f"transformers.{name}") for name in ("modeling_utils", "distributed")]
    levels = [library.level for library in libraries]
    for library in libraries:
        library.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for library, level in zip(libraries, levels, strict=True):
            library.setLevel(level)
        if has_bar:
            library_logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # untyped


def check_weights(info: Mapping[str, Collection[Any]], uri: str) -> None:
    """Refuse a model whose weights are not those of its files, as the library reports it.

    The library has dropped those that are tied to others, or that the model's class declares as optional.
    """
    shapes = {str(key): f" (file {tuple(file)}, model {tuple(own)})" for key, file, own in info["mismatched_keys"]}
    faults = {
        "missing from the files": [name for name in info["missing_keys"] if not _UNTRAINED.match(name)],
        "unknown to the model": [name for name in info["unexpected_keys"] if not _UNTRAINED.match(name)],
        "of another shape": [name + shapes[name] for name in shapes],
    }
    found = [f"{len(names)} {fault}: {_shorten(names)}" for fault, names in faults.items() if names]
    if found:
        raise ConfigurationError(
            f"{FIELD}: the weights of {uri} do not fit its {CONFIG}; {'; '.join(found)}; "
            "name a model whose files belong together"
        )


def _shorten(names: Sequence[str]) -> str:
    first = ", ".join(sorted(names)[:MAX_NAMES])
    return first if len(names) <= MAX_NAMES else f"{first}, ..."


def _load_processor(folder: ModelFolder, uri: str) -> Any:
    """The model's processor; of separate parts, if the files do not name one."""
    from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer, TrOCRProcessor

    processors: Any = AutoProcessor
    images: Any = AutoImageProcessor
    if is_deepseek_ocr1(folder.read_config()):
        return build_processor(folder.path)
    processor = processors.from_pretrained(folder.path, trust_remote_code=False)
    if hasattr(processor, "tokenizer") and hasattr(processor, "image_processor"):
        return processor
    if folder.read_config()["model_type"] != "vision-encoder-decoder":
        names = "processor_config.json, preprocessor_config.json and tokenizer_config.json"
        raise ConfigurationError(f"{FIELD}: {uri} has no processor of pages and text; check {names}")
    return TrOCRProcessor(  # type: ignore[no-untyped-call]  # the library's constructor
        image_processor=images.from_pretrained(folder.path, trust_remote_code=False),
        tokenizer=AutoTokenizer.from_pretrained(folder.path, trust_remote_code=False),
    )


def complete_tokens(module: Any, tokenizer: Any, uri: str) -> None:
    """Fill in tokens that files leave out where the library has a rule for it; refuse the model where it has none."""
    config, generation = module.config, module.generation_config
    if tokenizer.eos_token_id is None:
        number = _find_number(getattr(generation, "eos_token_id", None), getattr(config, "eos_token_id", None))
        if number is None:
            raise ConfigurationError(f"{FIELD}: {uri} has no EOS token; set eos_token in its tokenizer_config.json")
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(number)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token  # padding is masked, so any token will do
    if config.is_encoder_decoder and getattr(config, "decoder_start_token_id", None) is None:
        decoder = config.get_text_config(decoder=True)
        candidates = (
            generation.decoder_start_token_id,
            generation.bos_token_id,
            getattr(decoder, "bos_token_id", None),
        )
        config.decoder_start_token_id = _find_number(*candidates)
        if config.decoder_start_token_id is None:
            raise ConfigurationError(f"{FIELD}: {uri} has no decoder_start_token_id; set it in its {CONFIG}")
    rows = module.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise ConfigurationError(
            f"{FIELD}: the tokenizer of {uri} has {len(tokenizer):,} tokens, its model only {rows:,}; "
            "use the tokenizer that belongs to the model"
        )


def _find_number(*candidates: Any) -> int | None:
    """The first that is a token's number; of a list of them, its first."""
    for candidate in candidates:
        number = candidate[0] if isinstance(candidate, list) and candidate else candidate
        if isinstance(number, int):
            return number
    return None
