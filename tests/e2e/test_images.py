"""What the images promise, asked of them in pods as the controller builds them, at the restricted level."""

import json
from pathlib import Path
from typing import Any

import pytest

from deepsynth_api.v1alpha1.pod_template import PodTemplate
from deepsynth_images.build import build_image
from deepsynth_images.recipe import CPU, GPU, Recipe, read_version
from deepsynth_operator.manifests.pod import Container, build_pod_spec
from deepsynth_operator.manifests.volumes import build_scratch_volumes
from e2e.cluster.interface import Cluster
from e2e.installation import apply_all, create_restricted_namespace

NAMESPACE = "images"
LOOK_AROUND = Path(__file__).with_name("look_around.py").read_text()
COMPILE = """
import torch

@torch.compile
def double(x):
    return torch.sin(x) * 2

assert torch.allclose(double(torch.ones(64)), torch.sin(torch.ones(64)) * 2)
"""
"""As spec.compile does it on a CPU; a missing compiler or header ends it."""


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> str:
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    create_restricted_namespace(cluster, NAMESPACE)
    return NAMESPACE


@pytest.mark.parametrize(
    ("recipe", "own", "foreign"),
    [
        (CPU, {"deepsynth_operator", "deepsynth_render", "kopf"}, {"torch", "deepsynth_train", "matplotlib.pyplot"}),
        (GPU, {"deepsynth_train", "torch", "transformers"}, {"kopf", "deepsynth_operator", "deepsynth_render"}),
    ],
    ids=["cpu", "gpu"],
)
def test_an_image_runs_as_nobody_special_on_a_root_that_it_cannot_change(
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


def run_python(cluster: Cluster, namespace: str, recipe: Recipe, program: str, *arguments: str) -> str:
    """What the program prints in a pod of the image, which has to succeed."""
    image = build_image(recipe)
    cluster.load_image(image.path, cluster.nodes[:1])
    name = f"{recipe.name}-{len(program)}"
    container = Container(
        name="python",
        image=image.reference,
        module=[],
        env=[],
        secrets=[],
        volumes=build_scratch_volumes(),
        grace_seconds=5,
    )
    spec = build_pod_spec(PodTemplate(), container) | {"nodeName": cluster.nodes[0]}
    spec["containers"][0] |= {"command": ["python", "-c", program, *arguments], "livenessProbe": None}
    spec["containers"][0]["env"] = [{"name": "TORCHINDUCTOR_CACHE_DIR", "value": "/tmp/inductor"}]  # noqa: S108
    apply_all(cluster, namespace, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
    where = ("--namespace", namespace)
    done = cluster.kubectl(
        *where, "wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=300s", check=False
    )
    printed = cluster.kubectl(*where, "logs", name, check=False).stdout
    assert done.returncode == 0, printed
    return printed
