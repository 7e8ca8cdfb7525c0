"""The Hub's objects."""

import hashlib
from pathlib import Path
from typing import Any

NAME = "hub"
PORT = 8080
ENDPOINT = f"http://{NAME}.{NAME}.svc.cluster.local:{PORT}"
KEY_FOLDER = "/etc/hub"
DATA_FOLDER = "/var/lib/hub"
LABELS = {"app": NAME}

Manifest = dict[str, Any]


def build_manifests(image: str, folder: Path, signing_key: str) -> list[Manifest]:
    """folder: on every node at the same path, for what the server keeps."""
    deployment = _build_deployment(image, hashlib.sha256(signing_key.encode()).hexdigest())
    return [_build_volume(folder), _build_claim(), _build_key(signing_key), deployment, _build_service()]


def _build_deployment(image: str, key_digest: str) -> Manifest:
    """The digest in the annotations restarts the server when the key changes."""
    template = {"metadata": {"labels": LABELS, "annotations": {"key": key_digest}}, "spec": _build_pod(image)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": LABELS},
            "template": template,
        },
    }


def _build_pod(image: str) -> Manifest:
    return {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": 5,
        "containers": [_build_container(image)],
        "volumes": [
            {"name": "key", "secret": {"secretName": NAME, "defaultMode": 0o440}},
            {"name": "data", "persistentVolumeClaim": {"claimName": NAME}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }


def _build_container(image: str) -> Manifest:
    environment = {
        "SHARDLINE_BIND_ADDR": f"0.0.0.0:{PORT}",
        "SHARDLINE_PUBLIC_BASE_URL": ENDPOINT,
        "SHARDLINE_ROOT_DIR": f"{DATA_FOLDER}/data",
        "SHARDLINE_TOKEN_SIGNING_KEY_FILE": f"{KEY_FOLDER}/signing-key",
        "SHARDLINE_ALLOW_PLAINTEXT_SECRETS_IN_PRODUCTION": "true",  # secrets of webhooks; none is configured
    }
    return {
        "name": NAME,
        "image": image,
        "imagePullPolicy": "Never",
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "key", "mountPath": KEY_FOLDER, "readOnly": True},
            {"name": "data", "mountPath": DATA_FOLDER},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod's own
        ],
    }


def _build_service() -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME},
        "spec": {"selector": LABELS, "ports": [{"name": "http", "port": PORT, "targetPort": "http"}]},
    }


def _build_key(signing_key: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": NAME},
        "stringData": {"signing-key": signing_key},
    }


def _build_volume(folder: Path) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": NAME},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "capacity": {"storage": "5Gi"},
            "claimRef": {"namespace": NAME, "name": NAME},
            "hostPath": {"path": str(folder)},
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
        },
    }


def _build_claim() -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": NAME},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": "5Gi"}},
            "storageClassName": "",
        },
    }
