"""The chart, rendered by the real Helm into dicts."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from deepsynth_cluster.programs.build import program

CHART = Path(__file__).parents[2] / "charts" / "deepsynth"
RELEASE = "deepsynth"
NAMESPACE = "deepsynth-system"
EVERYTHING_ON: Mapping[str, Any] = {
    "metrics": {
        "serviceMonitor": {"enabled": True},
        "podMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True},
        "dashboards": {"enabled": True},
    },
    "notifications": {"webhook": {"url": "https://events.example.com/deepsynth", "secretName": "webhook"}},
    "networkPolicy": {"enabled": True},
    "prices": {"currency": "USD", "entries": [{"perHour": {"cpu": "0.0425"}}]},
    "jobs": {
        "defaults": [{"kinds": ["TrainingRun"], "template": {"runtimeClassName": "nvidia"}}],
        "networkPolicy": {"enabled": True, "reportsFrom": [{"namespaceSelector": {}}]},
    },
}
Values = Mapping[str, Any]
Manifest = dict[str, Any]


class RenderError(Exception):
    """What Helm said."""


@dataclass(frozen=True)
class Rendered:
    """Every object of a release."""

    text: str
    objects: tuple[Manifest, ...]

    def find_all(self, kind: str) -> list[Manifest]:
        return [manifest for manifest in self.objects if manifest["kind"] == kind]

    def find(self, kind: str) -> Manifest:
        """The only object of its kind."""
        (found,) = self.find_all(kind)
        return found

    @property
    def pod(self) -> Manifest:
        """spec of the operator's pod."""
        spec: Manifest = self.find("Deployment")["spec"]["template"]["spec"]
        return spec

    @property
    def container(self) -> Manifest:
        (container,) = self.pod["containers"]
        return dict(container)

    @property
    def environment(self) -> dict[str, str]:
        return {item["name"]: item.get("value", "") for item in self.container["env"]}


@cache
def helm_binary() -> str:
    """The Helm of $HELM, else the one that the cluster for tests is installed with."""
    return os.environ.get("HELM") or str(program("helm"))


def run_helm(*arguments: str, values: Values | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [helm_binary(), *arguments, "--kube-version", "1.34.0", "--values", "-"],
        input=json.dumps(values or {}),
        capture_output=True,
        text=True,
        check=False,
    )


def render(
    values: Values | None = None,
    *,
    release: str = RELEASE,
    namespace: str = NAMESPACE,
    chart: Path = CHART,
    apis: Sequence[str] = (),
) -> Rendered:
    """What `helm install` would send. apis: versions that the cluster has besides Kubernetes' own.

    Raises RenderError when Helm refuses.
    """
    return _render(json.dumps(values or {}), release, namespace, chart, tuple(apis))


@cache
def _render(values: str, release: str, namespace: str, chart: Path, apis: tuple[str, ...]) -> Rendered:
    text = render_text(json.loads(values), release=release, namespace=namespace, chart=chart, apis=apis)
    documents = yaml.load_all(text, Loader=yaml.CSafeLoader)
    return Rendered(text, tuple(document for document in documents if document))


def render_text(
    values: Values,
    *,
    release: str = RELEASE,
    namespace: str = NAMESPACE,
    chart: Path = CHART,
    apis: Sequence[str] = (),
) -> str:
    """The text that Helm prints. Not cached. apis: see render."""
    versions = [argument for api in apis for argument in ("--api-versions", api)]
    done = run_helm("template", release, str(chart), "--namespace", namespace, *versions, values=values)
    if done.returncode:
        raise RenderError(done.stderr)
    return done.stdout


def nest(path: Sequence[str], value: Any) -> dict[str, Any]:
    """{a: {b: value}} for the path a, b."""
    for key in reversed(path):
        value = {key: value}
    nested: dict[str, Any] = value
    return nested


def merge(below: Values, above: Values) -> dict[str, Any]:
    """Values as Helm lays one file over another."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged
