"""The viewer: an index of runs, their reports, and two of them compared. Nothing can be changed."""

from collections.abc import Callable, Iterable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from evals.errors import UsageMistake
from evals.viewing.doors import HostDoor
from evals.viewing.pages import comparison_page, index_page
from evals.viewing.shelf import RunShelf

Answer = Callable[[Request], Response]


def create_viewer(shelf: RunShelf, *, names: Iterable[str] = ()) -> ASGIApp:
    """The application.

    Args:
        shelf: The runs.
        names: By which this machine may be asked, besides addresses and `localhost`.
    """
    routes = [
        Route("/", _index(shelf), methods=["GET"]),
        Route("/runs/{name}", _to_folder, methods=["GET"]),
        Route("/runs/{name}/", _report(shelf), methods=["GET"]),
        Route("/compare", _compare(shelf), methods=["GET"]),
    ]
    return HostDoor(Starlette(routes=routes), names)


def _index(shelf: RunShelf) -> Answer:
    def index(request: Request) -> Response:
        return HTMLResponse(index_page(shelf.runs()))

    return index


def _report(shelf: RunShelf) -> Answer:
    def report(request: Request) -> Response:
        page = shelf.report(request.path_params["name"])
        return _missing("run with a report") if page is None else HTMLResponse(page)

    return report


def _compare(shelf: RunShelf) -> Answer:
    def compare(request: Request) -> Response:
        before, after = (request.query_params.get(name, "") for name in ("before", "after"))
        try:
            compared = shelf.compare(before, after)
        except UsageMistake as exc:
            return PlainTextResponse(str(exc), status_code=404)
        if compared is None:
            return _missing("run to compare")
        return HTMLResponse(comparison_page(before, after, compared))

    return compare


def _to_folder(request: Request) -> Response:
    return RedirectResponse(request.url.path + "/")


def _missing(what: str) -> Response:
    return PlainTextResponse(f"There is no such {what}.", status_code=404)
