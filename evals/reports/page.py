"""The shell of every page: style within it, no script, nothing loaded from anywhere."""

from html import escape
from importlib.resources import files

STYLE = (files("evals.reports") / "report.css").read_text("utf-8")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Also where the page is opened as a file: what an answer or a document says does nothing."""


def page(title: str, body: str) -> str:
    """A whole page; the body is HTML already."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{escape(title)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><style>{STYLE}</style></head>\n'
        f"<body>{body}\n</body></html>\n"
    )
