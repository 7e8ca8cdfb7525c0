"""Throughput, time spent waiting for data, and peak memory, for the progress report."""

import resource
import sys
from collections import deque
from dataclasses import dataclass

import torch

WINDOW_STEPS = 20


@dataclass(frozen=True)
class _Lap:
    seconds: float
    waited_seconds: float
    samples: int
    pages: int
    label_tokens: int


@dataclass(frozen=True)
class Rates:
    """samples, pages, label_tokens: per second, over all ranks. data_wait_share: 0 to 1, of this rank."""

    samples: float
    pages: float
    label_tokens: float
    data_wait_share: float
    seconds_per_step: float


class Meter:
    """Averages over the last 20 steps, without evaluations and saves in between."""

    def __init__(self) -> None:
        self._laps: deque[_Lap] = deque(maxlen=WINDOW_STEPS)

    def add(self, seconds: float, waited_seconds: float, samples: int, pages: int, label_tokens: int) -> None:
        self._laps.append(_Lap(seconds, waited_seconds, samples, pages, label_tokens))

    def compute_rates(self) -> Rates:
        seconds = max(sum(lap.seconds for lap in self._laps), 1e-9)
        return Rates(
            samples=sum(lap.samples for lap in self._laps) / seconds,
            pages=sum(lap.pages for lap in self._laps) / seconds,
            label_tokens=sum(lap.label_tokens for lap in self._laps) / seconds,
            data_wait_share=min(1.0, sum(lap.waited_seconds for lap in self._laps) / seconds),
            seconds_per_step=seconds / max(1, len(self._laps)),
        )


def read_peak_memory(device: torch.device) -> int:
    """Peak bytes so far: allocated on the GPU, or resident in this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
