"""From all resources to one page of a list: what is asked for comes from the address, and stays in it.

?kind=runs&state=Running&namespace=team-a&q=xsum&sort=age&page=2
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from deepsynth_api.conditions import ConditionType
from deepsynth_client.entries import list_entries
from deepsynth_client.errors import InvalidError
from deepsynth_client.interface import Manifest
from deepsynth_client.progress import find_wait, get_percentage
from deepsynth_client.tables import format_age
from deepsynth_ui.addresses import KINDS_BY_WORD, Key, get_key

PAGE_ROWS: Final = 50
_RECENT: Final = timedelta(days=1)
_ENDED: Final = frozenset({"Complete", "Failed"})
_ACTIVE: Final = frozenset({"Running", "Starting", "Restarting", "Rendering", "Planning", "Publishing"})


@dataclass(frozen=True)
class Query:
    """kind: a word of addresses; state, namespace and q (part of a name): empty for all. page: counted from 1."""

    kind: str = ""
    state: str = ""
    namespace: str = ""
    q: str = ""
    sort: str = "attention"
    page: int = 1

    def with_(self, **changes: Any) -> str:
        """The address of this list with something changed; with another filter or order, its first page."""
        changed = replace(self, **{"page": 1, **changes})
        fields = {name: getattr(changed, name) for name in self.__dataclass_fields__}
        return "?" + urlencode({name: value for name, value in fields.items() if value != getattr(_DEFAULT, name)})


_DEFAULT: Final = Query()


@dataclass(frozen=True)
class Row:
    """One resource. percentage: of its work. details: its progress in words. problem: what a user should look at."""

    key: Key
    state: str
    percentage: int
    details: str
    age: str
    problem: str


@dataclass(frozen=True)
class Listing:
    """One page. total: rows on all `pages`. states, namespaces: what there is to choose from, with their numbers."""

    query: Query
    rows: Sequence[Row]
    total: int
    pages: int
    states: Mapping[str, int]
    namespaces: Mapping[str, int]


def parse_query(parameters: Mapping[str, str]) -> Query:
    """Raises InvalidError for a value that no link or form of the page makes."""
    values: dict[str, Any] = {name: parameters[name] for name in Query.__dataclass_fields__ if parameters.get(name)}
    if "page" in values:
        text = values["page"]
        if not (text.isascii() and text.isdigit() and len(text) < 7 and int(text) > 0):
            raise InvalidError(f"page must be a positive integer below 1000000, got {text[:40]!r}")
        values["page"] = int(text)
    query = Query(**values)
    if query.sort not in ORDERS:
        raise InvalidError(f"sort must be one of {', '.join(ORDERS)}, got {query.sort[:40]!r}")
    if query.kind and query.kind not in KINDS_BY_WORD:
        raise InvalidError(f"kind must be one of {', '.join(KINDS_BY_WORD)}, got {query.kind[:40]!r}")
    return query


def build_listing(resources: Sequence[Manifest], query: Query, now: datetime) -> Listing:
    named = [item for item in resources if _matches(item, query)]
    shown = [item for item in named if not query.state or get_state(item) == query.state]
    rank = ORDERS[query.sort]
    ordered = sorted(sorted(shown, key=_get_age_key, reverse=True), key=lambda item: rank(item, now))
    start = PAGE_ROWS * (query.page - 1)
    return Listing(
        query=query,
        rows=[_build_row(item, now) for item in ordered[start : start + PAGE_ROWS]],
        total=len(shown),
        pages=max(1, -(-len(shown) // PAGE_ROWS)),
        states=dict(sorted(Counter(map(get_state, named)).items())),
        namespaces=dict(sorted(Counter(get_key(item).namespace for item in resources).items())),
    )


def get_state(resource: Manifest) -> str:
    return str((resource.get("status") or {}).get("state") or "Pending")


def find_problem(resource: Manifest) -> str:
    """Why it has failed, or what keeps its pods from starting; empty if all is well."""
    status = resource.get("status") or {}
    conditions = {item["type"]: item for item in status.get("conditions") or [] if item.get("status") == "True"}
    for kind in (ConditionType.FAILED, ConditionType.STALLED):
        if kind in conditions:
            return str(conditions[kind].get("message") or conditions[kind].get("reason") or kind)
    if get_state(resource) in _ENDED:
        return ""
    newest = list_entries(status)[-1:]
    return str(newest[0].get("obstacle") or "") if newest else ""


def _matches(resource: Manifest, query: Query) -> bool:
    key = get_key(resource)
    return (
        (not query.kind or key.kind == KINDS_BY_WORD[query.kind])
        and (not query.namespace or key.namespace == query.namespace)
        and query.q.lower() in key.name
    )


def _build_row(resource: Manifest, now: datetime) -> Row:
    created = resource["metadata"].get("creationTimestamp")
    return Row(
        key=get_key(resource),
        state=get_state(resource),
        percentage=get_percentage(resource),
        details=_describe(resource),
        age=format_age((now - datetime.fromisoformat(created)).total_seconds()) if created else "",
        problem=find_problem(resource),
    )


def _describe(resource: Manifest) -> str:
    """Such as: step 1260/3000, loss 1.83, 2h5m left."""
    summary = (resource.get("status") or {}).get("summary") or {}
    names = {"step": "step {}", "loss": "loss {}", "best": "best {}", "shards": "shards {}", "pages": "pages {}"}
    parts = [text.format(summary[name]) for name, text in names.items() if summary.get(name)]
    left = [f"{summary['eta']} left"] if summary.get("eta") and get_state(resource) not in _ENDED else []
    return ", ".join([*parts, *left]) or find_wait(resource)


def _get_age_key(resource: Manifest) -> str:
    return str(resource["metadata"].get("creationTimestamp") or "")


def _rank_attention(resource: Manifest, now: datetime) -> int:
    """Problems, then what works, then what waits, then what is done, failures of earlier days included."""
    state, ended = get_state(resource), str((resource.get("status") or {}).get("completionTime") or "")
    is_old = bool(ended) and now - datetime.fromisoformat(ended) > _RECENT
    if find_problem(resource) and not is_old:
        return 0
    return 1 if state in _ACTIVE else 3 if state in _ENDED else 2


ORDERS: Final[Mapping[str, Callable[[Manifest, datetime], Any]]] = {
    "attention": _rank_attention,
    "age": lambda _, __: 0,
    "name": lambda resource, _: get_key(resource).name,
    "progress": lambda resource, _: get_percentage(resource),
    "state": lambda resource, _: get_state(resource),
}
"""What is equal is ordered by age, newest first."""
