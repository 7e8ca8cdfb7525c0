"""The Lease of the coordination API: who leads, as of which version of the object.

Times of the Lease are written for people who read it. No decision uses them: clocks of two machines may differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from deepsynth_operator.core.errors import ClusterError, Conflict, NotPermitted
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.kubernetes.api.api_server import ApiRefusal, ApiServer, Timeouts

TIMEOUTS = Timeouts(connect=2.0, total=3.0)
"""Of a request about the Lease. Several fit into the time for which the Lease counts."""
MAX_DURATION: Final = 60.0
"""Upper limit for leaseDurationSeconds. A longer one was written by hand, and would keep every process waiting, also
after the Lease was deleted."""
_MAX_INT32: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """A Lease as it was read or written.

    holder: identity of the process that holds it; "" if it was released. version: changes with every write.
    metadata, spec: everything in it, so that a write keeps the labels, annotations and fields of others.
    """

    version: str
    holder: str
    duration: float
    transitions: int
    acquired: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, manifest: Manifest) -> "LeaseRecord":
        spec = manifest.get("spec") or {}
        return cls(
            version=manifest["metadata"]["resourceVersion"],
            holder=spec.get("holderIdentity") or "",
            duration=min(float(spec.get("leaseDurationSeconds") or 0), MAX_DURATION),
            transitions=spec.get("leaseTransitions") or 0,
            acquired=spec.get("acquireTime") or "",
            metadata=manifest["metadata"],
            spec=spec,
        )


class LeaseStore(Protocol):
    """Where the Lease is kept. Every method raises ControllerError when it does not succeed."""

    async def read(self) -> LeaseRecord | None:
        """The Lease as it is now; None if it does not exist."""

    async def write(self, known: LeaseRecord | None, holder: str, duration: float) -> LeaseRecord:
        """Create it (known: None), or replace it if it is still as `known`; otherwise raise Conflict."""


class ApiLeaseStore:
    """A LeaseStore on the API server. Use a client of its own: the others may wait for slots and for retries."""

    def __init__(self, api: ApiServer, namespace: str, name: str) -> None:
        self._api, self._namespace, self._name = api, namespace, name

    async def read(self) -> LeaseRecord | None:
        try:
            found = await self._api.request("get", "Lease", self._namespace, self._name, retries=0)
        except ApiRefusal as error:
            if error.status == 404:
                return None
            raise self._explain(error) from error
        return LeaseRecord.parse(found)

    async def write(self, known: LeaseRecord | None, holder: str, duration: float) -> LeaseRecord:
        body = self._build(known, holder, duration)
        try:
            if known is None:
                written = await self._api.request("create", "Lease", self._namespace, body=body, retries=0)
            else:
                written = await self._api.request("update", "Lease", self._namespace, self._name, body=body, retries=0)
        except ApiRefusal as error:
            raise self._explain(error) from error
        return LeaseRecord.parse(written)

    def _build(self, known: LeaseRecord | None, holder: str, duration: float) -> Manifest:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        metadata: dict[str, Any] = {"name": self._name, "namespace": self._namespace}
        kept: Mapping[str, Any] = {}
        if known is not None:
            metadata = {**known.metadata, **metadata, "resourceVersion": known.version}
            kept = known.spec
        is_renewal = known is not None and known.holder == holder
        transitions = known.transitions + (holder not in {"", known.holder}) if known is not None else 0
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                **kept,
                "holderIdentity": holder,
                "leaseDurationSeconds": max(round(duration), 1),
                "acquireTime": known.acquired if known is not None and is_renewal and known.acquired else now,
                "renewTime": now,
                "leaseTransitions": min(transitions, _MAX_INT32),
            },
        }

    def _explain(self, error: ApiRefusal) -> ClusterError | Conflict:
        text = f"Lease {self._namespace}/{self._name}: {error}"
        if error.status == 409:
            return Conflict(text)
        return (
            NotPermitted(f"{text}; grant the operator the Role in its chart")
            if error.status == 403
            else ClusterError(text)
        )
