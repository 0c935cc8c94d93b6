"""The server's addresses, and what is answered at each."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Mount, Route

from wsi_seg.errors import WsiSegError
from wsi_seg.pages.rendering import SHARED, STYLES, render
from wsi_seg.view import openseadragon
from wsi_seg.view.class_looks import Look
from wsi_seg.view.drawn_tiles import TileCache
from wsi_seg.view.guard import OF_A_REPORT, POLICY_NAME, Guard
from wsi_seg.view.shelf import MovedOnError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import TypeVar

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from wsi_seg.view.shown_slide import Shown
    from wsi_seg.view.site import Site

    Made = TypeVar("Made")

WEB = Path(__file__).parent / "web"
KINDS = {".css": "text/css", ".js": "text/javascript"}
"""Of the files of the pages; no other file is served."""

GIVEN_UP = 499
"""Nobody waits for the answer any more."""

MOST_THREADS = 8


class Server:
    """Answers requests; what takes a while is done in a few threads."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._tiles = TileCache()
        self._pool = ThreadPoolExecutor(min(MOST_THREADS, (os.cpu_count() or 1) + 1), "tiles")

    @asynccontextmanager
    async def running(self, _: Starlette) -> AsyncIterator[None]:
        """Close threads and slides when the server ends."""
        try:
            yield
        finally:
            self._pool.shutdown(cancel_futures=True)
            self._site.shelf.close()

    async def front(self, request: Request) -> Response:
        """Answer with the first page."""
        if self._site.front is None:
            return RedirectResponse("s/0/")
        return _page(self._site.front.page)

    async def front_about(self, request: Request) -> Response:
        """Answer with what the first page shows."""
        front = self._site.front
        if front is None:
            raise HTTPException(404)
        return JSONResponse(await self._in_thread(request, front.about))

    async def front_picture(self, request: Request) -> Response:
        """Answer with a picture of the first page."""
        front, name = self._site.front, request.path_params["name"]
        if front is None:
            raise HTTPException(404)
        try:
            return _picture(await self._in_thread(request, lambda: front.picture(name)))
        except KeyError as error:
            raise HTTPException(404) from error

    async def report(self, request: Request) -> Response:
        """Answer with the report of a training."""
        page = None if self._site.front is None else self._site.front.report()
        if page is None:
            raise HTTPException(404)
        return FileResponse(page, headers={POLICY_NAME: OF_A_REPORT})

    async def file(self, request: Request) -> Response:
        """Answer with a style or a script."""
        name = request.path_params["name"]
        folder = SHARED if name in STYLES else openseadragon.FOLDER if name == openseadragon.SCRIPT else WEB
        path = folder / name
        if path.suffix not in KINDS or path.parent != folder or not path.is_file():
            raise HTTPException(404)
        return FileResponse(path, media_type=KINDS[path.suffix])

    async def page(self, request: Request) -> Response:
        """Answer with the page of a slide."""
        self._number(request)
        return _page("slide.html")

    async def about(self, request: Request) -> Response:
        """Answer with all that the page has to know of its slide."""
        about = await self._of_slide(request, lambda shown: shown.about(), anew=True)
        front = self._site.front
        return JSONResponse({**about, "back": None if front is None else front.called})

    async def opening(self, request: Request) -> Response:
        """Answer with which opening of the slide would be shown now: a page sees whether it is its own."""
        number = self._number(request)
        found = await self._in_thread(request, lambda: {"opening": self._site.shelf.opening(number)})
        return JSONResponse(found)

    async def at(self, request: Request) -> Response:
        """Answer with what lies at a point."""
        try:
            x, y = (float(request.query_params[name]) for name in "xy")
        except (KeyError, ValueError) as error:
            raise HTTPException(400) from error
        if not (abs(x) < 1e9 and abs(y) < 1e9):
            raise HTTPException(400)
        return JSONResponse(await self._of_slide(request, lambda shown: shown.at((x, y))))

    async def outlines(self, request: Request) -> Response:
        """Answer with the outlines of annotation files."""
        return JSONResponse(await self._of_slide(request, lambda shown: shown.outlines.drawn()))

    async def slide_tile(self, request: Request) -> Response:
        """Answer with a tile of the slide."""
        number, (level, column, row) = self._number(request), _place(request)

        def draw(shown: Shown) -> bytes:
            rect = shown.picture.grid.rect(level, column, row)
            if rect is None:
                raise HTTPException(404)
            key = number, shown.watch.opening, level, column, row
            return self._tiles.get(key, lambda: shown.picture.tile(level, rect))

        return _picture(await self._of_slide(request, draw))

    async def label_tile(self, request: Request) -> Response:
        """Answer with a tile of the classes."""
        number, (level, column, row) = self._number(request), _place(request)
        look = Look.of(request.query_params.get("as", "areas"), request.query_params.get("hidden", ""))

        def draw(shown: Shown) -> bytes:
            classes = shown.classes
            rect = None if classes is None else classes.grid_of(look).rect(level, column, row)
            if classes is None or rect is None:
                raise HTTPException(404)
            key = number, shown.watch.opening, shown.version, look, level, column, row
            return self._tiles.get(key, lambda: classes.tile(look, level, rect))

        return _picture(await self._of_slide(request, draw))

    def _number(self, request: Request) -> int:
        number = int(request.path_params["number"])
        if number >= len(self._site.shelf):
            raise HTTPException(404)
        return number

    async def _of_slide(self, request: Request, make: Callable[[Shown], Made], *, anew: bool = False) -> Made:
        """Make something of the opening that the page shows; with `anew`, of the slide as it is now."""
        number = self._number(request)
        opening = None if anew else _opening(request)

        def made() -> Made:
            with self._site.shelf.opened(number, opening) as shown:
                try:
                    return make(shown)
                except WsiSegError as error:
                    if shown.moved_on:  # damaged only as seen from what it was before
                        raise MovedOnError from error
                    raise

        return await self._in_thread(request, made)

    async def _in_thread(self, request: Request, make: Callable[[], Made]) -> Made:
        """Make something in one of the threads, unless nobody waits for it by then."""
        waited = asyncio.Event()

        def begun() -> Made | None:
            return None if waited.is_set() else make()

        making = asyncio.get_running_loop().run_in_executor(self._pool, begun)
        while True:
            done, _ = await asyncio.wait([making], timeout=0.25)
            if done:
                made = making.result()
                if made is None:
                    raise HTTPException(GIVEN_UP)
                return made
            if await request.is_disconnected():
                waited.set()
                making.cancel()
                raise HTTPException(GIVEN_UP)


def make_app(site: Site, token: str) -> ASGIApp:
    """Return the application that shows a site to those who know the token."""
    server = Server(site)
    slide = [
        Route("/", server.page),
        Route("/about.json", server.about),
        Route("/opening.json", server.opening),
        Route("/at.json", server.at),
        Route("/outlines.json", server.outlines),
        Route("/slide/{level}/{column:int}_{row:int}.jpg", server.slide_tile),
        Route("/labels/{level}/{column:int}_{row:int}.png", server.label_tile),
    ]
    routes = [
        Route("/", server.front),
        Route("/about.json", server.front_about),
        Route("/picture/{name}", server.front_picture),
        Route("/report.html", server.report),
        Route("/web/{name}", server.file),
        Mount("/s/{number:int}", routes=slide),
    ]
    app = Starlette(
        routes=[Mount(f"/{token}", routes=routes)],
        lifespan=server.running,
        exception_handlers={WsiSegError: _refused, MovedOnError: _moved_on, Exception: _failed},
    )
    return Guard(app, token)


def _page(name: str) -> Response:
    return HTMLResponse(_filled(name))


@cache
def _filled(name: str) -> str:
    return render(WEB / name)


def _place(request: Request) -> tuple[int, int, int]:
    """Return the level, column and row of the tile that is asked for."""
    try:
        level = int(request.path_params["level"])
    except ValueError as error:
        raise HTTPException(404) from error
    return level, int(request.path_params["column"]), int(request.path_params["row"])


def _opening(request: Request) -> int | None:
    """Return the opening of the slide that the page shows; None if it does not say."""
    stated = request.query_params.get("opening", "")
    return int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 10 else None


def _picture(content: bytes) -> Response:
    return Response(content, media_type="image/png" if content.startswith(b"\x89PNG") else "image/jpeg")


async def _refused(request: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), 422)


async def _moved_on(request: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), 409)


async def _failed(request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"internal error ({type(error).__name__}: {error}): please report it", 500)
