"""Argo CD's health of a resource, by the chart's script, in a Lua that knows no more than Argo CD's."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lupa import lua51  # Argo CD's interpreter is a Lua 5.1

SCRIPT: Final = Path(__file__).parents[3] / "charts/deepsynth/argocd/health.lua"
_OPENED: Final = frozenset({"_G", "_VERSION", "table"})
"""Argo CD opens the base functions and `table`, and neither string nor io; of os only the clock."""
_BASE: Final = frozenset({"assert", "error", "ipairs", "next", "pairs", "select", "tonumber", "tostring", "type"})


@dataclass(frozen=True)
class Health:
    status: str
    message: str


def judge(resource: Mapping[str, Any]) -> Health:
    lua = lua51.LuaRuntime()
    names = lua.globals()
    for name in list(names):
        if name not in _OPENED | _BASE:
            names[name] = None
    names["obj"] = _to_lua(lua, resource)
    result = lua.execute(SCRIPT.read_text(encoding="utf-8"))
    return Health(result["status"], result["message"])


def _to_lua(lua: Any, value: Any) -> Any:
    if isinstance(value, Mapping):
        return lua.table_from({key: _to_lua(lua, item) for key, item in value.items()})
    return lua.table_from([_to_lua(lua, item) for item in value]) if isinstance(value, list) else value
