"""Who may talk to the API server: certificates made by openssl, and the kubeconfig files that carry them."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deepsynth_cluster.commands import run_command

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
CONFIGURATION = "[req]\ndistinguished_name = name\n[name]\n"
"""openssl's default file would add extensions that contradict ours."""


@dataclass(frozen=True)
class Pair:
    certificate: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    """The cluster's certificate authority and all that it has signed, in one folder."""

    folder: Path

    @property
    def own(self) -> Pair:
        return self.pair("ca")

    def pair(self, name: str) -> Pair:
        return Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")

    def create(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "openssl.cnf").write_text(CONFIGURATION)
        self._make("ca", "/CN=deepsynth-test-cluster", ("basicConstraints=critical,CA:TRUE",), ())

    def issue(self, name: str, common_name: str, organization: str = "", addresses: Sequence[str] = ()) -> Pair:
        """Sign a certificate for a client (`organization` is its group) or a server (`addresses` are its SANs)."""
        subject = (f"/O={organization}" if organization else "") + f"/CN={common_name}"
        extensions = ["basicConstraints=CA:FALSE"]
        if addresses:
            extensions.append("subjectAltName=" + ",".join(addresses))
        own = self.own
        self._make(name, subject, extensions, ("-CA", str(own.certificate), "-CAkey", str(own.key)))
        return self.pair(name)

    def _make(self, name: str, subject: str, extensions: Sequence[str], signer: Sequence[str]) -> None:
        pair = self.pair(name)
        out = ("-keyout", str(pair.key), "-out", str(pair.certificate), "-subj", subject, "-days", "365")
        added = [argument for extension in extensions for argument in ("-addext", extension)]
        configuration = ("-config", str(self.folder / "openssl.cnf"))
        run_command(["openssl", "req", "-x509", *configuration, *KEY, *signer, *out, *added])


def write_kubeconfig(path: Path, name: str, server: str, authority: Path, client: Pair) -> None:
    """Write a self-contained kubeconfig (as JSON, which is YAML too) that only its owner can read."""
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
