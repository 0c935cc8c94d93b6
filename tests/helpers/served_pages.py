"""The server of `wsi-seg view`, running, and requests to it as they are written."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import uvicorn

from wsi_seg.view.addresses import make_app
from wsi_seg.view.finding import Asked, find_site
from wsi_seg.view.serving import bound

TOKEN = "token-of-the-tests"


@contextmanager
def served(asked: Asked) -> Iterator[str]:
    """Serve what is asked for; yield the address."""
    listening = bound(None)
    config = uvicorn.Config(make_app(find_site(asked), TOKEN), log_level="critical", lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/{TOKEN}/"
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()


@dataclass(frozen=True)
class Answer:
    """What a server answers."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(address: str, path: str, method: str = "GET", **headers: str) -> Answer:
    """Ask the server of an address for a path as it is written; headers have _ for -."""
    port = int(address.split(":")[2].partition("/")[0])
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.putrequest(method, path, skip_host="host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
