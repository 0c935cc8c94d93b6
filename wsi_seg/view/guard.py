"""Who may ask: a browser that knows the address, of a page of this server, and only to look.

Any program on this machine can reach a port of loopback, and so can any page that a browser has open. What
keeps them out: a random token in the address; the host, which a page of another site cannot state as ours
even if its name leads here (DNS rebinding); and what browsers say of where a request comes from.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

from wsi_seg.view.openseadragon import STYLE

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = frozenset({"127.0.0.1", "localhost"})

POLICY_NAME = "Content-Security-Policy"

POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' '{STYLE}'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""No script, style, picture or connection but this server's own; no other page shows this one in a frame."""

OF_A_REPORT = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Of a report, a file that may come from anywhere: it is shown, and no script in it runs."""

HEADERS = {
    POLICY_NAME: POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
"""Of every answer. Nothing of a slide is left in a browser's cache."""


def new_token() -> str:
    """Return a token that cannot be guessed: 192 random bits."""
    return secrets.token_urlsafe(24)


class Guard:
    """Lets through what may ask, and nothing else.

    Parameters
    ----------
    app : ASGIApp
    token : str
        The first part of every address.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # a WebSocket: there is none here
            await send({"type": "websocket.close", "code": 1008})
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                kept = headers.get(POLICY_NAME)
                headers.update(HEADERS)
                if kept == OF_A_REPORT:
                    headers[POLICY_NAME] = kept
            await send(message)

        refusal = self._refusal(scope)
        answer = self._app if refusal is None else PlainTextResponse(refusal[1], refusal[0])
        await answer(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return the status and the line that a request is refused with; None for one that is let through."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _name(host) not in HOSTS:
            return 403, "this address is for this machine alone"
        if not _from_here(headers, host):
            return 403, "no page of another site may ask"
        if scope["method"] not in {"GET", "HEAD"}:
            return 405, "nothing here can be changed"
        given = scope["path"].lstrip("/").partition("/")[0]
        if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self._token.encode()):
            return 404, "open the whole address that wsi-seg view prints"
        return None


def _name(host: str) -> str | None:
    """Return the name in a host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _from_here(headers: Headers, host: str) -> bool:
    """Return whether a request comes from a page of this server, or from nobody's page."""
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return False
    site = headers.get("sec-fetch-site", "none")
    # A link that is followed to here shows the page to its user; the page with the link learns nothing.
    followed = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return site in {"none", "same-origin"} or followed
