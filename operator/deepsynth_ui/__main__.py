"""The pages of a cluster, in a pod of it: `python -m deepsynth_ui`. The chart's dashboard runs it.

DEEPSYNTH_NAMESPACES      namespaces to show, with commas between them; empty for all
DEEPSYNTH_HTTP_ADDRESS    HOST:PORT; HOST is empty for all addresses
DEEPSYNTH_HTTP_HOSTS      names under which it answers, with commas between them; empty for all, if not on loopback
"""

import os
import sys
from collections.abc import Mapping

from deepsynth_client.cluster.api import Api
from deepsynth_client.cluster.kubeconfig import log_in
from deepsynth_client.cluster.namespace import ClusterResources
from deepsynth_client.errors import ClientError, InvalidError
from deepsynth_client.interface import Selection
from deepsynth_ui.server import serve


def main(environment: Mapping[str, str] = os.environ) -> int:
    try:
        namespaces, hosts = (_split(environment, f"DEEPSYNTH_{name}") for name in ("NAMESPACES", "HTTP_HOSTS"))
        host, port = parse_address(environment.get("DEEPSYNTH_HTTP_ADDRESS", ":8475"))
        first, *others = [ClusterResources(Api(log_in(namespace=name))) for name in namespaces or [""]]
        serve(first, Selection(all_namespaces=not namespaces), host, port, _say, hosts=hosts, others=others)
    except ClientError as error:
        _say(f"error: {error.message}")
        return error.exit_code
    return 0


def parse_address(text: str) -> tuple[str, int]:
    """HOST:PORT, such as :8475, 127.0.0.1:8475 or [::1]:8475. Raises InvalidError."""
    host, colon, port = text.rpartition(":")
    if not (colon and port.isascii() and port.isdigit() and int(port) < 65536):
        raise InvalidError(f"DEEPSYNTH_HTTP_ADDRESS must be HOST:PORT, got {text!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _split(environment: Mapping[str, str], name: str) -> list[str]:
    return [part for part in environment.get(name, "").split(",") if part]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
