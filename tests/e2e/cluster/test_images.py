"""What the images promise, checked in pods as the controller builds them, at the restricted level."""

import json
from pathlib import Path
from typing import Any

import pytest

from deepsynth_cluster.clusters.interface import Cluster
from deepsynth_demo.chart import create_restricted_namespace
from deepsynth_images.recipe import CPU, GPU, Recipe, read_version
from e2e.support import look_around
from e2e.support.image_pods import run_python

NAMESPACE = "images"
LOOK_AROUND = Path(look_around.__file__).read_text()
COMPILE = """
import torch

@torch.compile
def double(x):
    return torch.sin(x) * 2

assert torch.allclose(double(torch.ones(64)), torch.sin(torch.ones(64)) * 2)
"""
"""What spec.compile does on a CPU. It fails without a compiler or a header."""


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> str:
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    create_restricted_namespace(cluster, NAMESPACE)
    return NAMESPACE


@pytest.mark.parametrize(
    ("recipe", "own", "foreign"),
    [
        (
            CPU,
            {"deepsynth_operator", "deepsynth_render", "kubernetes"},
            {"torch", "deepsynth_train", "matplotlib.pyplot"},
        ),
        (GPU, {"deepsynth_train", "torch", "transformers"}, {"kubernetes", "deepsynth_operator", "deepsynth_render"}),
    ],
    ids=["cpu", "gpu"],
)
def test_an_image_runs_as_an_ordinary_user_on_a_read_only_root(
    recipe: Recipe, own: set[str], foreign: set[str], cluster: Cluster, namespace: str
) -> None:
    names = sorted(own | foreign)
    seen: dict[str, Any] = json.loads(run_python(cluster, namespace, recipe, LOOK_AROUND, *names))
    assert seen.pop("modules") == sorted(own)
    assert seen == {
        "pid": 1,
        "user": "deepsynth",
        "groups": [65532],
        "home": "/tmp",  # noqa: S108 - a volume of the pod's own
        "root": "Read-only file system",
        "version": read_version(),
        "without_bytecode": [],
        "left_behind": [],
        "licence": True,
    }


def test_the_trainers_image_can_compile_a_model(cluster: Cluster, namespace: str) -> None:
    assert run_python(cluster, namespace, GPU, f"{COMPILE}\nprint('compiled')").strip() == "compiled"
