"""The entry for people in a notebook: the same loop on a dataset at hand, without a cluster."""

from typing import Any

from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train.training import TrainResult


class TrainConfig(TrainingSettings):
    """A TrainingRun's spec without what only a cluster knows; same names and defaults, snake_case or camelCase."""


class Trainer:
    """Trains in this process (or in each process of a torchrun)."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config

    def train(self, dataset: Any) -> TrainResult:
        """dataset: a datasets.Dataset or DatasetDict of pages, or a folder that DeepSynth rendered."""
        raise NotImplementedError
