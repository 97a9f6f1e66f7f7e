"""The interactive documentation: pages that load nothing from elsewhere and run no other script."""

import base64
import hashlib
import re
import secrets

from fastapi import FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.responses import HTMLResponse

FILES_PATH = "/static-offline-docs"
"""Where fastapi-offline serves the scripts and styles."""
_FAVICON = f"{FILES_PATH}/favicon.png"
_NONCE_BYTES = 16
_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_INLINE_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_REDOC_TAG = "<redoc "


def install_documentation(app: FastAPI) -> None:
    """Adds /docs and /redoc."""
    assert app.openapi_url is not None  # noqa: S101 - the application has its document
    swagger = _swagger_page(app.title, app.openapi_url)
    redoc = _redoc_page(app.title, app.openapi_url)

    @app.get("/docs", include_in_schema=False)
    async def show_swagger() -> HTMLResponse:
        return _answer(swagger, _swagger_policy(swagger))

    @app.get("/redoc", include_in_schema=False)
    async def show_redoc() -> HTMLResponse:
        nonce = secrets.token_urlsafe(_NONCE_BYTES)
        page = redoc.replace(_REDOC_TAG, f'{_REDOC_TAG}nonce="{nonce}" ', 1)
        return _answer(page, _redoc_policy(page, nonce))


def _swagger_page(title: str, openapi_url: str) -> str:
    return _text(
        get_swagger_ui_html(
            openapi_url=openapi_url,
            title=title,
            swagger_js_url=f"{FILES_PATH}/swagger-ui-bundle.js",
            swagger_css_url=f"{FILES_PATH}/swagger-ui.css",
            swagger_favicon_url=_FAVICON,
        )
    )


def _redoc_page(title: str, openapi_url: str) -> str:
    return _text(
        get_redoc_html(
            openapi_url=openapi_url,
            title=title,
            redoc_js_url=f"{FILES_PATH}/redoc.standalone.js",
            redoc_favicon_url=_FAVICON,
            with_google_fonts=False,
        )
    )


def _swagger_policy(page: str) -> str:
    """Its style sheet has pictures in `data:`, its markup style attributes; it makes no element."""
    return _policy(script=_hashes(_INLINE_SCRIPT, page), style=_hashes(_INLINE_STYLE, page))


def _redoc_policy(page: str, nonce: str) -> str:
    """Its search is a worker that it makes itself, its styles are elements that carry the nonce."""
    style = [*_hashes(_INLINE_STYLE, page), f"'nonce-{nonce}'"]
    return f"{_policy(script=_hashes(_INLINE_SCRIPT, page), style=style)}; worker-src blob:"


def _policy(*, script: list[str], style: list[str]) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            " ".join(("script-src 'self'", *script)),
            " ".join(("style-src 'self'", *style)),
            # An attribute styles its own element and loads nothing that img-src forbids.
            "style-src-attr 'unsafe-inline'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hashes(pattern: re.Pattern[str], page: str) -> list[str]:
    digests = (hashlib.sha256(text.encode()).digest() for text in pattern.findall(page))
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


def _answer(page: str, policy: str) -> HTMLResponse:
    return HTMLResponse(page, headers={"Content-Security-Policy": policy})


def _text(response: HTMLResponse) -> str:
    return bytes(response.body).decode()
