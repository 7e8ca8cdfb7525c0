"""Python programs in pods of an image, built as the controller builds its pods."""

from uuid import uuid4

from deepsynth_api.v1alpha1.pod.pod_template import PodTemplate
from deepsynth_cluster.clusters.interface import Cluster
from deepsynth_demo.chart import apply_all
from deepsynth_images.build import build_image
from deepsynth_images.recipe import Recipe
from deepsynth_operator.manifests.pod import Container, build_pod_spec
from deepsynth_operator.manifests.volumes import build_scratch_volumes

WRITABLE = {"HF_HOME": "/tmp/huggingface", "TORCHINDUCTOR_CACHE_DIR": "/tmp/inductor"}  # noqa: S108 - the pod's own


def run_python(
    cluster: Cluster, namespace: str, recipe: Recipe, program: str, *arguments: str, secret: str | None = None
) -> str:
    """The output of the program in a pod of the image. The pod must succeed. secret: for its environment."""
    image = build_image(recipe)
    cluster.load_image(image.path, cluster.nodes[:1])
    name = f"{recipe.name}-{uuid4().hex[:6]}"
    container = Container(
        name="python",
        image=image.reference,
        module=[],
        env=[{"name": variable, "value": value} for variable, value in WRITABLE.items()],
        secrets=[{"secretRef": {"name": secret}}] if secret else [],
        volumes=build_scratch_volumes(),
        grace_seconds=5,
    )
    spec = build_pod_spec(PodTemplate(), name, container) | {"nodeName": cluster.nodes[0]}
    spec["containers"][0] |= {"command": ["python", "-c", program, *arguments], "livenessProbe": None}
    apply_all(cluster, namespace, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
    where = ("--namespace", namespace)
    done = cluster.kubectl(
        *where, "wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=300s", check=False
    )
    printed = cluster.kubectl(*where, "logs", name, check=False).stdout
    assert done.returncode == 0, printed
    return printed
