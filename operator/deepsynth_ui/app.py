"""Which address answers with what. All addresses are relative, so the pages work behind a proxy with a path.

/                               the list: listing.py has its parameters
/runs/NAMESPACE/NAME            a TrainingRun; .../logs?attempt=1&rank=0, .../samples/0/0.png
/generations/NAMESPACE/NAME     a DatasetGeneration; .../logs, .../pages/0.png
/compare?run=...&run=...        runs next to each other
/changes?of=...                 server-sent events: a number whenever what is shown has changed
/static/...                     style, script and icon
/healthz, /readyz               for probes
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from deepsynth_api.errors import WorkloadError
from deepsynth_client.errors import ClientError, ForbiddenError, InvalidError, NotFoundError, UnreachableError
from deepsynth_client.report.comparison import build_charts, build_tables
from deepsynth_ui.addresses import KINDS_BY_WORD, Key, build_root, parse_path
from deepsynth_ui.assets import ASSETS
from deepsynth_ui.board import Board
from deepsynth_ui.comparison_page import compare_runs, parse_runs
from deepsynth_ui.guard import Guard
from deepsynth_ui.listing import build_listing, parse_query
from deepsynth_ui.log_page import build_log_page
from deepsynth_ui.rendering import render_page
from deepsynth_ui.resource_page import build_resource_page
from deepsynth_ui.results import ResultFiles, pick_png

POLL_SECONDS: Final = 1.0
TICK_SECONDS: Final = 30
"""After this time without a change a page refreshes all the same: ages grow, and proxies stay awake."""
_LOG_TICK_SECONDS: Final = 5
_FOREVER: Final = "private, max-age=31536000, immutable"
_STATUS: Final[dict[type[ClientError], HTTPStatus]] = {
    NotFoundError: HTTPStatus.NOT_FOUND,
    InvalidError: HTTPStatus.BAD_REQUEST,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    UnreachableError: HTTPStatus.SERVICE_UNAVAILABLE,
}


class ShortInteger(IntegerConvertor):
    """A part of an address. int() fails for thousands of digits, which must be 404 as for any other wrong address."""

    regex = "[0-9]{1,6}"


register_url_convertor("short", ShortInteger())


def build_app(
    board: Board,
    *,
    hosts: Collection[str] = (),
    may_fetch: bool = False,
    is_ending: Callable[[], bool] = lambda: False,
) -> Starlette:
    """hosts: names under which it answers; empty for all. may_fetch: see ResultFiles.

    is_ending: whether the server wants to end, for which reports of changes must end.
    """
    pages = Pages(board, ResultFiles(board.resources, may_fetch=may_fetch), is_ending)
    word = "{word:str}/{namespace:str}/{name:str}"
    routes = [
        Route("/", pages.show_list),
        Route("/compare", pages.show_comparison),
        Route("/changes", pages.stream_changes),
        Route("/healthz", pages.answer_alive),
        Route("/readyz", pages.answer_ready),
        Route("/favicon.ico", pages.send_icon),
        Route("/static/{file:str}", pages.send_asset),
        Route(f"/{word}", pages.show_resource),
        Route(f"/{word}/logs", pages.show_log),
        Route(f"/{word}/files", pages.fetch_files, methods=["POST"]),
        Route(f"/{word}/pages/{{index:short}}.png", pages.send_page),
        Route(f"/{word}/samples/{{index:short}}/{{page:short}}.png", pages.send_sample),
    ]
    refuse: Any = pages.show_error
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, hosts=hosts), Middleware(GZipMiddleware)],
        exception_handlers=dict.fromkeys((ClientError, WorkloadError, ValidationError, HTTPException), refuse),
    )


class Pages:
    """The answers. Those that may read files or ask a cluster are not coroutines, so they run in threads."""

    def __init__(self, board: Board, files: ResultFiles, is_ending: Callable[[], bool]) -> None:
        self._board, self._files, self._is_ending = board, files, is_ending

    def show_list(self, request: Request) -> Response:
        version = self._board.get_version()
        query = parse_query(request.query_params)
        listing = build_listing(self._board.list_all(), query, datetime.now(UTC))
        return render_page(request, self._board, "list.html", version=version, listing=listing)

    def show_resource(self, request: Request) -> Response:
        key = _parse_key(request)
        version, found = self._board.get_version([key]), self._board.find(key)
        root = build_root(request.url.path)
        page = build_resource_page(self._board.resources, found, self._files, root, datetime.now(UTC))
        return self._render(request, "resource.html", [key], version, page=page)

    def show_log(self, request: Request) -> Response:
        key = _parse_key(request)
        version, found = self._board.get_version([key]), self._board.find(key)
        page = build_log_page(self._board.resources, found, self._files, request.query_params)
        return self._render(request, "log.html", [key], version, tick=_LOG_TICK_SECONDS, page=page)

    def show_comparison(self, request: Request) -> Response:
        keys = parse_runs(request.query_params.getlist("run"))
        version = self._board.get_version(keys)
        found = compare_runs(self._board, self._files, keys)
        values: dict[str, Any] = {"runs": keys, "charts": build_charts(found), "tables": build_tables(found)}
        return self._render(request, "runs.html", keys, version, **values)

    def fetch_files(self, request: Request) -> Response:
        key = _parse_key(request)
        self._files.fetch(self._board.find(key))
        return RedirectResponse(f"{build_root(request.url.path)}{key.path}", status_code=HTTPStatus.SEE_OTHER)

    def send_page(self, request: Request) -> Response:
        pages = self._files.read_pages(self._board.find(_parse_key(request)))
        return _send_png([page.png for page in pages], request.path_params["index"])

    def send_sample(self, request: Request) -> Response:
        samples = self._files.read_samples(self._board.find(_parse_key(request)))
        index = request.path_params["index"]
        return _send_png(samples[index].pages if index < len(samples) else (), request.path_params["page"])

    async def stream_changes(self, request: Request) -> Response:
        keys = [parse_path(text) for text in request.query_params.getlist("of")]
        tick = request.query_params.get("tick", "")
        seconds = _LOG_TICK_SECONDS if tick == str(_LOG_TICK_SECONDS) else TICK_SECONDS
        since = request.query_params.get("since", "")
        events = report_changes(lambda: self._board.get_version(keys), since, seconds, self._is_ending)
        return StreamingResponse(events, media_type="text/event-stream")

    async def answer_alive(self, _: Request) -> Response:
        is_alive = self._board.is_alive
        return PlainTextResponse("ok\n" if is_alive else "a watch has ended\n", 200 if is_alive else 503)

    async def answer_ready(self, _: Request) -> Response:
        problems = "; ".join(self._board.list_problems()) or "nothing is listed yet"
        return PlainTextResponse(*("ok\n", 200) if self._board.is_listed else (f"{problems}\n", 503))

    async def send_asset(self, request: Request) -> Response:
        asset = ASSETS.get(request.path_params["file"])
        if asset is None:
            raise NotFoundError("there is no such file")
        return Response(asset.content, media_type=asset.media_type, headers={"Cache-Control": _FOREVER})

    async def send_icon(self, _: Request) -> Response:
        icon = ASSETS["icon.svg"]
        return Response(icon.content, media_type=icon.media_type)

    async def show_error(self, request: Request, error: Exception) -> Response:
        status, message = _describe(error)
        return render_page(
            request, self._board, "error.html", version=0, status=status, title=status.phrase, message=message
        )

    def _render(
        self, request: Request, template: str, keys: Collection[Key], version: int, *, tick: int = 0, **values: Any
    ) -> Response:
        parts = [("of", key.path) for key in keys] + ([("tick", str(tick))] if tick else [])
        return render_page(request, self._board, template, version=version, changes=urlencode(parts), **values)


async def report_changes(
    get_version: Callable[[], int], since: str, tick_seconds: float, is_ending: Callable[[], bool]
) -> AsyncIterator[str]:
    """Server-sent events: the version when it differs from `since`, then at each change or tick."""
    known, quiet = since, 0.0
    yield "retry: 2000\n\n"
    while not is_ending():
        version = str(get_version())
        if version != known or quiet >= tick_seconds:
            known, quiet = version, 0.0
            yield f"data: {version}\n\n"
        await asyncio.sleep(POLL_SECONDS)
        quiet += POLL_SECONDS


def _parse_key(request: Request) -> Key:
    parameters = request.path_params
    if parameters["word"] not in KINDS_BY_WORD:
        raise NotFoundError("there is no such page")
    return Key(KINDS_BY_WORD[parameters["word"]], parameters["namespace"], parameters["name"])


def _send_png(images: Any, index: int) -> Response:
    return Response(pick_png(images, index), media_type="image/png", headers={"Cache-Control": _FOREVER})


def _describe(error: Exception) -> tuple[HTTPStatus, str]:
    if isinstance(error, HTTPException):
        return HTTPStatus(error.status_code), error.detail
    if isinstance(error, ValidationError):
        return HTTPStatus.INTERNAL_SERVER_ERROR, f"another version stored this resource: {error.errors()[0]['msg']}"
    message = error.message if isinstance(error, ClientError | WorkloadError) else str(error)
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), None)
    return status or HTTPStatus.INTERNAL_SERVER_ERROR, message
