"""An S3 for the pods of the development cluster: moto, on the control plane's machine, whose address pods reach."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_cluster.clusters.interface import Cluster
from deepsynth_cluster.commands import wait_until
from deepsynth_cluster.machine import network
from deepsynth_demo.chart import apply_all

PORT: Final = 9000
ENDPOINT: Final = f"http://{network.CONTROL_PLANE}:{PORT}"
SECRET: Final = "bucket"
_START_SECONDS: Final = 120.0
_CLIENT: Final = f"""
import json, sys, time
from obstore.store import S3Store
import obstore
store = S3Store(
    sys.argv[1], endpoint={ENDPOINT!r}, access_key_id="a", secret_access_key="b", client_options={{"allow_http": True}}
)
"""
_MAKE: Final = f"""
import sys, urllib.request
urllib.request.urlopen(urllib.request.Request({ENDPOINT!r} + "/" + sys.argv[1], method="PUT"), timeout=5)
"""
_PUT: Final = "obstore.put(store, sys.argv[2], sys.stdin.buffer.read())"
_HASH: Final = "import hashlib; print(hashlib.sha256(obstore.get(store, sys.argv[2]).bytes()).hexdigest())"
_WAIT_FOR_UPLOAD: Final = """
while True:
    head = json.loads(bytes(obstore.get(store, sys.argv[2] + "/checkpoints.json").bytes()))
    named = {entry["name"] for entry in head["checkpoints"]} | set(head["damaged"])
    keys = [entry["path"].removeprefix(sys.argv[2] + "/") for entry in obstore.list(store, sys.argv[2]).collect()]
    if {key.partition("/")[0] for key in keys if key.startswith("step-")} - named:
        break
    time.sleep(0.02)
"""


class S3:
    """One bucket. It keeps its data while it cannot be reached."""

    def __init__(self, cluster: BareCluster, bucket: str) -> None:
        self._machine = cluster.control_plane.machine
        self.bucket = bucket
        self.uri = f"s3://{bucket}"

    def put(self, key: str, content: str) -> None:
        self._machine.run(sys.executable, "-c", _CLIENT + _PUT, self.bucket, key, stdin=content)

    def hash(self, key: str) -> str:
        """sha256 of an object."""
        return self._machine.run(sys.executable, "-c", _CLIENT + _HASH, self.bucket, key).stdout.strip()

    def wait_for_upload(self, run: str) -> None:
        """Until a save has begun that is not committed yet. run: the prefix of its checkpoints."""
        self._machine.run("timeout", "300", sys.executable, "-c", _CLIENT + _WAIT_FOR_UPLOAD, self.bucket, run)

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """Every connection is reset."""
        rule = ("INPUT", "-p", "tcp", "--dport", str(PORT), "-j", "REJECT", "--reject-with", "tcp-reset")
        self._machine.run("iptables", "-I", *rule)
        try:
            yield
        finally:
            self._machine.run("iptables", "-D", *rule)


def install_s3(cluster: Cluster, namespace: str, bucket: str) -> S3:
    """Start it if it does not run yet, with a new bucket, and a Secret for `secretRef`."""
    if not isinstance(cluster, BareCluster):
        pytest.skip("pods reach a server of this machine on the development cluster only")
    machine = cluster.control_plane.machine

    def make_bucket() -> bool:
        return machine.run(sys.executable, "-c", _MAKE, bucket, check=False).returncode == 0

    if not make_bucket():
        machine.start("s3", sys.executable, "-m", "moto.server", "-H", network.CONTROL_PLANE, "-p", str(PORT))
        wait_until(make_bucket, "the S3 answers", _START_SECONDS)
    data = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_ENDPOINT_URL": ENDPOINT}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "stringData": data}
    apply_all(cluster, namespace, secret)
    return S3(cluster, bucket)
