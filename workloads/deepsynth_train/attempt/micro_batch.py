"""spec.microBatchSize: auto. The first attempt chooses a number, and later ones read it in the checkpoint folder."""

from typing import Final

import numpy as np
import torch

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.workload import TrainWorkload
from deepsynth_train.checkpoint.opening import open_files
from deepsynth_train.checkpoint.pins import find_micro_batch_size
from deepsynth_train.coordination.progress import Progress
from deepsynth_train.coordination.world import World
from deepsynth_train.data.dataset import TrainingData
from deepsynth_train.data.loader import BatchMaker
from deepsynth_train.data.selection.index import SampleIndex
from deepsynth_train.memory.batch_size import FILLED, choose_size, read_memory
from deepsynth_train.memory.estimate import estimate_samples
from deepsynth_train.models.interface.page_model import PageModel, Sample

FIELD: Final = "spec.microBatchSize"
_GIB: Final = 2**30
_FAILURES: Final = (
    ConfigurationError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Of a model that cannot compute without numbers."""


def resolve_micro_batch_size(
    workload: TrainWorkload, model: PageModel, data: TrainingData, world: World, progress: Progress
) -> int:
    """spec.microBatchSize as a number, the same on all ranks. Called by all of them, before pages are cached.

    Raises ConfigurationError for `auto` if the memory of the model cannot be estimated.
    """
    if isinstance(workload.micro_batch_size, int):
        return workload.micro_batch_size
    memory = min(world.gather(read_memory(world)))
    size, note = _find(workload, model, data, memory, world=world, progress=progress) if world.is_first else (0, "")
    world.wait_for_all(progress.beat)
    size, note = world.share((size, note))
    progress.note(note)
    return size


def _find(
    workload: TrainWorkload, model: PageModel, data: TrainingData, memory: int, *, world: World, progress: Progress
) -> tuple[int, str]:
    """The size, and a note for users. memory: bytes of the smallest device."""
    if pinned := find_micro_batch_size(workload, open_files(workload.checkpoint.uri)):
        return pinned, f"{FIELD}: {pinned}, which auto chose in an earlier attempt"
    maker = BatchMaker(data.train, model)
    processes = count_fewest_processes(workload, world)

    def measure(sample: Sample, size: int) -> int:
        progress.beat()
        return _measure(workload, [sample] * size, processes)

    largest = {number: maker.read_sample(number) for number in find_largest(data.train.index)}
    number = max(largest, key=lambda number: measure(largest[number], 1)) if len(largest) > 1 else min(largest)
    highest = -(-workload.global_batch_size // world.size)
    size, used = choose_size(lambda size: measure(largest[number], size), int(FILLED * memory), highest)
    pages, labels = int(data.train.index.pages[number]), len(largest[number].label)
    risk = ", which may not fit" if used > FILLED * memory else ""
    return size, (
        f"{FIELD}: auto chose {size}{risk}: {used / _GIB:.1f} of {memory / _GIB:.1f} GiB by estimate, for samples of "
        f"{pages} {'page' if pages == 1 else 'pages'} and {labels} label {'token' if labels == 1 else 'tokens'}"
    )


def count_fewest_processes(workload: TrainWorkload, world: World) -> int:
    """Processes of the smallest attempt: the fewer there are, the more of a sharded model each of them holds."""
    return min(world.size, (workload.min_nodes or workload.num_nodes) * workload.num_proc_per_node)


def find_largest(index: SampleIndex) -> list[int]:
    """The samples that can take most memory: the longest, and the longest of those with the most pages."""
    most = np.flatnonzero(index.pages == index.pages.max())
    return sorted({int(np.argmax(index.tokens)), int(most[np.argmax(index.tokens[most])])})


def _measure(workload: TrainWorkload, samples: list[Sample], processes: int) -> int:
    try:
        with torch.random.fork_rng(devices=[]):  # the run computes what it would with the number in the spec
            return estimate_samples(workload, samples, gpus=processes).total_bytes
    except _FAILURES as error:
        text = f"{type(error).__name__}: {error}"[:300]
        raise ConfigurationError(
            f"{FIELD}: auto needs an estimate of the memory, which failed ({text}); set a number"
        ) from error
