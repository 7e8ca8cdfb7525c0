"""What is wrong with the files of a model, found before the library reads them: its messages do not name the file."""

import json
from collections.abc import Collection, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from deepsynth_api.errors import ConfigurationError

CONFIG: Final = "config.json"
RUN_FILE: Final = "deepsynth.json"
"""In a model that DeepSynth published: what it was asked, and what it was made from."""
GENERATION: Final = "generation_config.json"
INDEX: Final = "model.safetensors.index.json"
WEIGHTS: Final = "model.safetensors"
TOKENIZERS: Final = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt", "tekken.json")
PROCESSORS: Final = ("processor_config.json", "preprocessor_config.json")
SMALL_FILES: Final = ("*.json", "*.model", "*.txt", "*.jinja", "*.tiktoken", "README.md")
FILES: Final = (*SMALL_FILES, "model*.safetensors")
"""What is fetched from the Hub. README.md names the licence."""
_SETTINGS: Final = (
    *PROCESSORS,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    GENERATION,
)
INSTEAD: Final = "use a model that AutoModelForImageTextToText loads, such as Qwen3-VL or DeepSeek-OCR-2"
"""The remedy for a model of another kind."""
NO_CODE: Final = "needs Python code of its own, which is never run"
OTHER_FORMAT: Final = "use a repository of the model in the format of transformers"
"""The remedy for a model with code of its own."""
_MAIN_FILES: Final = (CONFIG, "adapter_config.json")
"""One of them is in every folder with a model or with adapters."""
_POINTER: Final = b"version https://git-lfs"
_MAX_HEADER_BYTES: Final = 100_000_000
_REPLACEMENTS: Final = {"DeepseekOCR2ForCausalLM": "hf://deepseek-community/DeepSeek-OCR-2"}
"""`architectures` of repositories that bring their own code -> the same model in the library's format."""
_FIRST_RELEASES: Final = {"unlimited_ocr": "5.20"}
"""`model_type` -> the release of transformers that brought it, for those newer than the oldest one supported."""


def read_trained(folder: Path) -> dict[str, str]:
    """Task and prompt of a model that DeepSynth trained, as far as its folder says so; empty for any other."""
    try:
        document = json.loads((folder / RUN_FILE).read_text())
        return {name: document[name] for name in ("task", "prompt") if isinstance(document.get(name), str)}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return {}


def read_holdout(folder: Path) -> int | None:
    """The percentage that the training of a model held out of datasets without a validation split; None if unknown."""
    return _read_count(folder / RUN_FILE, "holdoutPercent")


def read_max_new_tokens(folder: Path) -> int | None:
    """How many tokens the model generates at most, by its own generation settings; None if they do not say so."""
    return _read_count(folder / GENERATION, "max_new_tokens") or None


def check_level(folder: Path, name: str) -> None:
    """Refuse a folder one level above a model, before libraries are loaded, which takes seconds.

    name: of the folder, for the message. Raises ConfigurationError.
    """
    if not any((folder / file).is_file() for file in _MAIN_FILES) and (below := _list_models_below(folder)):
        raise ConfigurationError(f"{name}: no {CONFIG} in this folder; {_suggest(below)}")


def _list_models_below(folder: Path) -> list[Path]:
    return sorted({found.parent for file in _MAIN_FILES for found in folder.glob(f"*/{file}")})


def _suggest(folders: Sequence[Path]) -> str:
    return f"did you mean {' or '.join(map(str, folders))}?" if folders else ""


def _read_count(file: Path, name: str) -> int | None:
    try:
        value = json.loads(file.read_text()).get(name)
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return value if type(value) is int and value >= 0 else None


def _list_texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


class ModelFolder:
    """A folder that holds a model. uri: as in spec.model, for messages. All methods raise ConfigurationError."""

    def __init__(self, path: Path, uri: str) -> None:
        self.path = path
        self._uri = uri

    def read_config(self) -> dict[str, Any]:
        """config.json. Refuses adapters without their model."""
        if not (self.path / CONFIG).is_file() and (self.path / "adapter_config.json").is_file():
            base = self._read_json("adapter_config.json").get("base_model_name_or_path")
            raise self.explain(
                f"{self._uri} holds only an adapter of {base}; merge it into its model, or name that model"
            )
        return self._read_json(CONFIG)

    def check_kind(
        self, kind: str | None, config: dict[str, Any], native: Collection[str], supported: Collection[str]
    ) -> None:
        """Refuse models that need code of their own, that the library is too old for, or that are of no supported type.

        kind: the library's `model_type` of the model. native: all types that the library knows. supported: those that
        can be trained.
        """
        library = f"transformers {version('transformers')}"
        if kind in _FIRST_RELEASES and kind not in native:
            raise self.explain(
                f"{self._uri} needs transformers {_FIRST_RELEASES[kind]} or newer, and the image has {library}; build "
                "an image with a newer one and set spec.image"
            )
        names = [_REPLACEMENTS[name] for name in _list_texts(config.get("architectures")) if name in _REPLACEMENTS]
        if names or ("auto_map" in config and kind not in native):
            remedy = f"use {names[0]}" if names else OTHER_FORMAT
            raise self.explain(f"{self._uri} {NO_CODE}; {remedy}")
        if kind not in supported:
            found = f"{CONFIG} of {self._uri} has model_type {kind!r}"
            problem = "reads no pages" if kind is None or kind in native else f"{library} does not know"
            raise self.explain(f"{found}, which {problem}; {INSTEAD}")

    def check_files(self) -> None:
        """Refuse weights, settings and tokenizers that are missing, cut, not what their name says, or LFS pointers."""
        for name in self._list_weights():
            self._check_weights(name)
        for name in _SETTINGS:
            if (self.path / name).is_file():
                self._read_json(name)
        self._require_one(TOKENIZERS, "tokenizer")
        self._require_one(PROCESSORS, "settings of an image processor")

    def explain(self, message: str) -> ConfigurationError:
        return ConfigurationError(f"spec.model.uri: {message}")

    def _require_one(self, names: Sequence[str], what: str) -> None:
        if not any((self.path / name).is_file() for name in names):
            raise self.explain(f"{self._uri} has no {what}; add one of {', '.join(names)}")

    def _list_weights(self) -> list[str]:
        """Names of the files with weights, all of which exist."""
        if (self.path / WEIGHTS).is_file():
            return [WEIGHTS]
        if not (self.path / INDEX).is_file():
            pickles = sorted(path.name for path in self.path.glob("*.bin"))
            remedy = f"convert {pickles[0]} to it, since pickle files can run code" if pickles else "add it"
            raise self.explain(f"{self._uri} has no {WEIGHTS}; {remedy}")
        parts = self._read_json(INDEX).get("weight_map")
        if not isinstance(parts, dict) or not all(isinstance(part, str) for part in parts.values()):
            raise self.explain(f"{INDEX} of {self._uri} has no weight_map; copy it again")
        names = sorted(set(parts.values()))
        if missing := [name for name in names if not (self.path / name).is_file()]:
            raise self.explain(f"{self._uri} lacks {missing[0]}, which {INDEX} names; copy it again")
        return names

    def _check_weights(self, name: str) -> None:
        """safetensors: 8 bytes with the header's length, the header (JSON), the tensors."""
        path = self.path / name
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if start == _POINTER[:8]:
                raise self._explain_pointer(name)
            if length > min(size - 8, _MAX_HEADER_BYTES):
                raise self.explain(f"{name} of {self._uri} is cut, or not a safetensors file; copy it again")
            header = self._parse(name, file.read(length))
        try:
            ends = [tensor["data_offsets"][1] for key, tensor in header.items() if key != "__metadata__"]
            expected = 8 + length + max(ends, default=0)
        except (TypeError, KeyError, IndexError) as error:
            raise self.explain(f"{name} of {self._uri} is not a safetensors file; copy it again") from error
        if size != expected:
            raise self.explain(
                f"{name} of {self._uri} is damaged: it should have {expected:,} bytes, got {size:,}; copy it again"
            )

    def _read_json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        if not self.path.exists():
            raise self.explain(f"no folder {self.path}; name one with a model, or a model on the Hub, hf://OWNER/NAME")
        if not path.is_file():
            below = _list_models_below(self.path)
            raise self.explain(f"no {name} in {self.path}; {_suggest(below) or 'name a folder with a model'}")
        return self._parse(name, path.read_bytes())

    def _parse(self, name: str, content: bytes) -> dict[str, Any]:
        if content.startswith(_POINTER):
            raise self._explain_pointer(name)
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self.explain(f"{name} of {self._uri} is not JSON ({error}); copy it again") from error
        if not isinstance(document, dict):
            raise self.explain(f"{name} of {self._uri} must hold a JSON object, got {type(document).__name__}")
        return document

    def _explain_pointer(self, name: str) -> ConfigurationError:
        return self.explain(f"{name} of {self._uri} is a pointer of Git LFS, not the file; run `git lfs pull` there")
