"""Serves the board page: a few static files from the package, read once, under a strict policy.

The page holds nothing secret (it logs in by the API), so it is open to everyone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, Header, Response
from starlette.responses import RedirectResponse

from chargehub.kit.errors import NotFound

PAGE_PATH = "/console/"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# No inline script or style, nothing from elsewhere, no frame around it.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    # Ask each time and answer 304: an update of the server is an update of the page.
    "Cache-Control": "no-cache",
}


class NoSuchPage(NotFound):
    """There is no such page."""

    code = "no-such-page"


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    etag: str


def page_router() -> APIRouter:
    """Build the routes of `/console/`; the files are in memory from here on."""
    files = _read_files()
    router = APIRouter(include_in_schema=False)

    def serve(name: str, if_none_match: str | None) -> Response:
        file = files.get(name)
        if file is None:
            raise NoSuchPage
        headers = {**HEADERS, "ETag": file.etag}
        if if_none_match is not None and file.etag in if_none_match:
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    @router.get("/")
    @router.get(PAGE_PATH.rstrip("/"))
    async def go_to_page() -> Response:
        return RedirectResponse(PAGE_PATH)

    @router.get(PAGE_PATH)
    async def read_page(if_none_match: Annotated[str | None, Header()] = None) -> Response:
        return serve("index.html", if_none_match)

    @router.get(PAGE_PATH + "{name}")
    async def read_file(
        name: str, if_none_match: Annotated[str | None, Header()] = None
    ) -> Response:
        return serve(name, if_none_match)

    return router


def _read_files() -> dict[str, _File]:
    files = {}
    for entry in resources.files("chargehub.live").joinpath("console").iterdir():
        media_type = MEDIA_TYPES.get(PurePosixPath(entry.name).suffix)
        if media_type is not None:
            content = entry.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
            files[entry.name] = _File(content, media_type, etag)
    return files
