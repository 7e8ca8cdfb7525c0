"""fake-gcs-server on loopback, behind a front that speaks the XML API. Go builds it once, into the cache."""

import atexit
import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from functools import cache
from typing import Final

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from deepsynth_cluster.programs.build import program
from support.free_port import find_free_port
from support.store.object_servers.gcs_front import GcsFront

INSTANCE_TOKEN: Final = "token-of-the-metadata-server"
_EMAIL: Final = "pages@example.iam.gserviceaccount.com"
_NUMBERS: Final = itertools.count()


@cache
def start_gcs() -> str:
    """Its address. One server serves all tests of a process; each makes buckets of its own."""
    front = GcsFront(_start_emulator(), _accepts)
    atexit.register(front.__exit__, None, None, None)
    return front.__enter__().url


def build_service_account_key() -> str:
    """The JSON that Google gives out for a service account, with a key that `start_gcs` knows."""
    pem = _make_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return json.dumps(
        {"type": "service_account", "private_key_id": "first", "private_key": pem, "client_email": _EMAIL}
    )


@contextlib.contextmanager
def make_gcs_bucket() -> Iterator[str]:
    """The name of a new, empty bucket."""
    name = f"bucket-{next(_NUMBERS)}"
    body = json.dumps({"name": name}).encode()
    urllib.request.urlopen(f"{_start_emulator()}/storage/v1/b?project=pages", body, timeout=30).close()  # noqa: S310
    yield name


@cache
def _start_emulator() -> str:
    if shutil.which("go") is None:
        pytest.skip("needs Go")
    port = find_free_port()
    options = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory", "-log-level", "error"]
    server = subprocess.Popen([program("fake-gcs-server"), *options])
    atexit.register(server.kill)
    url = f"http://127.0.0.1:{port}"
    for _ in range(2400):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{url}/_internal/healthcheck", timeout=5).close()  # noqa: S310
            return url
        time.sleep(0.05)
    raise AssertionError("fake-gcs-server does not answer")


@cache
def _make_key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def _accepts(token: str) -> bool:
    """The token of the metadata server, or one that the service account has signed itself."""
    if token == INSTANCE_TOKEN:
        return True
    signed, _, signature = token.rpartition(".")
    with contextlib.suppress(InvalidSignature, ValueError):
        _make_key().public_key().verify(_decode(signature), signed.encode(), PKCS1v15(), SHA256())
        return bool(json.loads(_decode(signed.partition(".")[2]))["iss"] == _EMAIL)
    return False


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
