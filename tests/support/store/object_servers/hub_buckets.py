"""The Hub's gateway to its storage buckets, as https://huggingface.co/docs/hub/storage-buckets-s3 describes it.

Objects and conditions are those of an S3 behind it. What the gateway lacks is taken away here: attributes of objects,
conditions of reads and of uploads in parts, the first version of listings. Buckets are below their owner, and clients
that it does not know are redirected for the bytes of an object.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

from support.store.object_servers.fault_proxy import FaultProxy

OWNER: Final = "acme"
_KNOWN_CLIENTS: Final = re.compile("aws-cli|botocore|aws-sdk-rust")
_CONDITIONS: Final = {"if-match", "if-none-match"}


class HubBuckets(FaultProxy):
    """With the faults that are asked for."""

    def forward(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        _, owner, path = target.split("/", 2)
        if owner != OWNER:
            return 404, {"Content-Type": "application/xml"}, b"<Error><Code>NoSuchBucket</Code></Error>"
        is_object = "/" in urlsplit(path).path.rstrip("/")
        names = {name.lower(): value for name, value in headers.items()}
        if method == "GET" and not is_object and parse_qs(urlsplit(path).query).get("list-type") != ["2"]:
            return 501, {"Content-Type": "application/xml"}, b"<Error><Code>NotImplemented</Code></Error>"
        if method == "GET" and is_object and not _KNOWN_CLIENTS.search(names.get("user-agent", "")):
            return 302, {"Location": f"{self.upstream}/{path}"}, b""
        ignored = set() if method == "PUT" else _CONDITIONS
        kept = {name: value for name, value in names.items() if not name.startswith("x-amz-meta-")}
        return super().forward(method, f"/{path}", {name: kept[name] for name in kept.keys() - ignored}, body)
