"""Reads checkpoints of format 1: torch.distributed.checkpoint's files, whose `.metadata` is a pickle.

Unpickling calls what the file names, so this unpickler knows only the few classes that torch writes there, and builds
records without behaviour in their place. Tensors are read by torch.load with weights_only.
"""

import io
import pickle
from pathlib import Path
from typing import Any, Final

import torch

from deepsynth_train.checkpoint.state.tensor_files import Block, Damage, Stored, StoredTensor

METADATA: Final = ".metadata"


class _Record:
    """Any object of the metadata: arguments of its constructor and its attributes."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)
        else:
            self.arguments = state


_METADATA_MODULE: Final = "torch.distributed.checkpoint.metadata"
_RECORDS: Final = {
    *((_METADATA_MODULE, name) for name in ("Metadata", "MetadataIndex", "StorageMeta", "TensorProperties")),
    *((_METADATA_MODULE, name) for name in ("BytesStorageMetadata", "ChunkStorageMetadata", "TensorStorageMetadata")),
    (_METADATA_MODULE, "_MEM_FORMAT_ENCODING"),
    ("torch.distributed.checkpoint.filesystem", "_StorageInfo"),
    ("torch.serialization", "_get_layout"),
    ("pathlib", "PosixPath"),
    ("pathlib._local", "PosixPath"),
}


class _MetadataUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _RECORDS:
            return _Record
        if (module, name) == ("torch", "Size"):
            return tuple
        found = getattr(torch, name, None) if module == "torch" else None
        if isinstance(found, torch.dtype):
            return found
        raise pickle.UnpicklingError(f"{module}.{name} does not belong there")


def open_older_shards(folder: Path) -> Stored:
    """Raises Damage when `.metadata` holds anything but the description of tensors.

    The optimizer's hyperparameters are skipped: they come from the settings.
    """
    try:
        with (folder / METADATA).open("rb") as file:
            metadata = _MetadataUnpickler(file).load()
        places = {(index.fqn, getattr(index, "offset", None)): place for index, place in metadata.storage_data.items()}
        tensors, spans = {}, {}
        for name, described in metadata.state_dict_metadata.items():
            if not hasattr(described, "chunks"):
                continue
            blocks = []
            for chunk in described.chunks:
                place = places[name, chunk.offsets]
                blocks.append(Block(_check_name(place.relative_path), tuple(chunk.offsets), tuple(chunk.sizes)))
                spans[name, blocks[-1].start] = (int(place.offset), int(place.length))
            dtype = described.properties.arguments[0]
            tensors[str(name)] = StoredTensor(dtype, tuple(described.size), tuple(blocks))
    except Exception as error:  # a pickle that was tampered with can raise anything
        raise Damage(f"{folder.name}/{METADATA}: {error}") from error

    def read(name: str, block: Block, region: tuple[slice, ...]) -> torch.Tensor:
        offset, length = spans[name, block.start]
        with (folder / block.file).open("rb") as file:
            file.seek(offset)
            content = io.BytesIO(file.read(length))
        try:
            found: torch.Tensor = torch.load(content, map_location="cpu", weights_only=True).view(block.shape)[region]
        except Exception as error:
            raise Damage(f"{folder.name}/{block.file}: {name} cannot be read: {error}") from error
        return found

    return Stored(tensors, {}, read)


def _check_name(path: str) -> str:
    if Path(path).name != path:
        raise ValueError(f"{path!r} is not a file of this folder")
    return path
