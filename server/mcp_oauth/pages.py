"""The plain pages that a browser ends on: no scripts, no styles, nothing from elsewhere."""

from html import escape

from fastapi.responses import HTMLResponse

from server.errors import ServerError
from server.mcp_oauth.values import Arrival

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1><p>{text}</p></body>
</html>
"""


def done_page(arrival: Arrival) -> HTMLResponse:
    """It worked."""
    text = (
        f"YouWorker may act at “{arrival.server}” for the YouWorker user “{arrival.username}” now. "
        "If that is not you, take it back at the server. Else close this page and go back."
    )
    return _page("Done", text, status=200)


def error_page(error: ServerError) -> HTMLResponse:
    """It did not work."""
    text = f"{error} Close this page, go back and begin again."
    return _page("This did not work", text, status=error.status)


def _page(title: str, text: str, *, status: int) -> HTMLResponse:
    page = _PAGE.format(title=escape(title), text=escape(text))
    return HTMLResponse(page, status_code=status, headers={"Cache-Control": "no-store"})
