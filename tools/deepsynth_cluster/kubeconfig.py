"""Kubeconfig files: who talks to which API server with which certificate."""

import base64
import json
from pathlib import Path

from deepsynth_cluster.certificates import Pair


def write_kubeconfig(path: Path, name: str, server: str, authority: Path, client: Pair) -> None:
    """Write a file that holds everything itself (as JSON, which is YAML too), readable by its owner alone."""
    cluster = {"server": server, "certificate-authority-data": _encode(authority)}
    user = {"client-certificate-data": _encode(client.certificate), "client-key-data": _encode(client.key)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=2))


def _encode(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
