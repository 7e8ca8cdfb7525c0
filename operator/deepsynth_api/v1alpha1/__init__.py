"""The resources of deepsynth.io/v1alpha1 as pydantic models: spec and status of DatasetGeneration and TrainingRun.

Only types with their defaults, limits and descriptions belong here. Descriptions become the CRDs, which
`kubectl explain` shows. Rules over several fields are in `crd/rules.py`.
"""

from deepsynth_api.v1alpha1.dataset_generation import DatasetGeneration, DatasetGenerationSpec
from deepsynth_api.v1alpha1.dataset_generation_status import DatasetGenerationStatus
from deepsynth_api.v1alpha1.pod.pod_template import PodTemplate, Volume
from deepsynth_api.v1alpha1.settings.model_settings import ImageProcessorSettings, LoraSettings, ModelSettings
from deepsynth_api.v1alpha1.settings.page_settings import PageSettings
from deepsynth_api.v1alpha1.settings.rendering_settings import (
    Columns,
    Filters,
    OutputSettings,
    RenderingSettings,
    Source,
)
from deepsynth_api.v1alpha1.settings.result_settings import CheckpointSettings, EvaluationSettings, PublishSettings
from deepsynth_api.v1alpha1.settings.training_settings import OptimizerSettings, TrainingSettings
from deepsynth_api.v1alpha1.shared.base import ApiModel, Condition, ObjectMeta, SecretReference
from deepsynth_api.v1alpha1.training_run import TrainingRun, TrainingRunSpec
from deepsynth_api.v1alpha1.training_run_status import Attempt, CheckpointStatus, TrainingRunStatus

Resource = DatasetGeneration | TrainingRun

__all__ = [
    "ApiModel",
    "Attempt",
    "CheckpointSettings",
    "CheckpointStatus",
    "Columns",
    "Condition",
    "DatasetGeneration",
    "DatasetGenerationSpec",
    "DatasetGenerationStatus",
    "EvaluationSettings",
    "Filters",
    "ImageProcessorSettings",
    "LoraSettings",
    "ModelSettings",
    "ObjectMeta",
    "OptimizerSettings",
    "OutputSettings",
    "PageSettings",
    "PodTemplate",
    "PublishSettings",
    "RenderingSettings",
    "Resource",
    "SecretReference",
    "Source",
    "TrainingRun",
    "TrainingRunSpec",
    "TrainingRunStatus",
    "TrainingSettings",
    "Volume",
]
