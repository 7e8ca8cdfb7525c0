"""The resources of the tests on a cluster: as small as possible, on one shared volume."""

from typing import Any

from deepsynth_api.kinds import API_VERSION
from deepsynth_demo.chart import CLAIM

Manifest = dict[str, Any]
PAGES = f"pvc://{CLAIM}/pages"
SMALL = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}}


def build_generation(name: str, output: str, secret: str | None = None, **spec: Any) -> Manifest:
    """Docstrings as pages of 512 pixels in four shards."""
    return {
        "apiVersion": API_VERSION,
        "kind": "DatasetGeneration",
        "metadata": {"name": name},
        "spec": {
            "source": {"uri": "docstrings://", "maxRowsPerSplit": 60},
            "page": {"size": "512"},
            "output": {"uri": output, **({"secretRef": {"name": secret}} if secret else {})},
            "rowsPerShard": 27,
            "parallelism": 4,
            "template": {"resources": SMALL},
            **spec,
        },
    }


def build_run(name: str, **spec: Any) -> Manifest:
    """A tiny model on two nodes of a GPU each. Saves every five steps, so a kill loses four at most."""
    return {
        "apiVersion": API_VERSION,
        "kind": "TrainingRun",
        "metadata": {"name": name},
        "spec": {
            "model": {"uri": "config://vit-gpt2-tiny"},
            "datasets": [{"name": "pages", "uri": PAGES}],
            "task": "ocr",
            "numNodes": 2,
            "resourcesPerNode": {
                "requests": {"cpu": "50m", "memory": "512Mi"},
                "limits": {"nvidia.com/gpu": 1, "memory": "4Gi"},
            },
            "precision": "fp32",
            "maxLabelTokens": 512,
            "maxDroppedPercent": 100,
            "globalBatchSize": 4,
            "maxSteps": 120,
            "checkpoint": {"uri": f"pvc://{CLAIM}/{name}", "everySteps": 5},
            "evaluation": {"maxSamples": 4},
            "template": {"terminationGracePeriodSeconds": 60},
            **spec,
        },
    }
