"""From values to HTML, with the templates of this package and those that report.html has too."""

from datetime import UTC, datetime
from typing import Any, Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from deepsynth_ui.addresses import build_root
from deepsynth_ui.assets import link_asset
from deepsynth_ui.board import Board

# Everything is untrusted text: autoescape covers every template.
_ENVIRONMENT: Final = Environment(
    loader=ChoiceLoader(
        [PackageLoader("deepsynth_ui", "templates"), PackageLoader("deepsynth_client.report", "templates")]
    ),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.globals["link_asset"] = link_asset


def render_page(
    request: Request, board: Board, template: str, *, version: int, changes: str = "", status: int = 200, **values: Any
) -> HTMLResponse:
    """changes: query of the address that reports changes of what is shown; version: of what is shown."""
    text = _ENVIRONMENT.get_template(template).render(
        root=build_root(request.url.path),
        place=board.place,
        problems=board.list_problems(),
        is_listed=board.is_listed,
        version=version,
        changes=changes,
        now=datetime.now(UTC),
        **values,
    )
    return HTMLResponse(text, status_code=status)
