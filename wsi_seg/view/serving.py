"""Run the server until it is ended: on loopback, at a free port or the one that is named."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import webbrowser
from typing import TYPE_CHECKING

import uvicorn

from wsi_seg.errors import OutputError, UsageError
from wsi_seg.view.addresses import make_app
from wsi_seg.view.guard import new_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsi_seg.view.site import Site

LOOPBACK = "127.0.0.1"
ENDING_SECONDS = 3


def bound(port: int | None) -> socket.socket:
    """Return a socket that listens on loopback.

    Parameters
    ----------
    port : int or None
        None for any that is free.

    Raises
    ------
    UsageError
        If the port is taken, or not allowed.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port or 0))
        listening.listen(64)
    except OSError as error:
        listening.close()
        what = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise UsageError(f"--port {port}: {what}: name another, or none") from error
    return listening


def serve(site: Site, listening: socket.socket, begun: Callable[[str], None]) -> None:
    """Show a site until a signal ends it.

    Parameters
    ----------
    site : Site
    listening : socket
        As `bound` returns it.
    begun : callable
        Receives the address, once the server answers.

    Raises
    ------
    OutputError
        If the server ends by itself.
    """
    token = new_token()
    config = uvicorn.Config(
        make_app(site, token),
        log_level="critical",
        access_log=False,
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), name="server", daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            thread.join(0.01)
        begun(f"http://{LOOPBACK}:{listening.getsockname()[1]}/{token}/")
        while thread.is_alive():  # a signal is answered between two looks
            thread.join(0.2)
    finally:
        server.should_exit = True
        thread.join(ENDING_SECONDS)
    raise OutputError("the server has ended: run the same command again")


def open_browser(address: str) -> bool:
    """Open an address in the user's browser; return whether there is one."""
    shown = sys.platform in {"win32", "darwin"} or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    return shown and webbrowser.open(address)
