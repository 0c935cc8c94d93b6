"""A browser that looks at served pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from helpers.browser import Browser, find_chromium
from helpers.served_pages import served

from wsi_seg.view.finding import Asked
from wsi_seg.view.openseadragon import script_file


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser; tests that need it skip where there is none."""
    if find_chromium() is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    if script_file() is None:
        pytest.skip("OpenSeadragon is not here: python wsi_seg/view/openseadragon.py")
    with Browser.started() as browser:
        yield browser


LOADED = (
    "window.wsiSeg && wsiSeg.classes?.settled === wsiSeg.classes?.turn && "
    "wsiSeg.viewer.world.getItemCount() >= {least} && !wsiSeg.viewer.isAnimating() && "
    "[...Array(wsiSeg.viewer.world.getItemCount()).keys()]"
    ".every((i) => wsiSeg.viewer.world.getItemAt(i).getFullyLoaded())"
)


@pytest.fixture
def shown(browser: Browser) -> Iterator[Callable[..., Browser]]:
    """Open a page of a served path at a view; wait until all of its tiles are there."""
    browser.resize(1280, 800)
    with ExitStack() as servers:

        def show(asked: Asked | Path, view: str = "", *, layers: int = 2) -> Browser:
            address = servers.enter_context(served(asked if isinstance(asked, Asked) else Asked(asked)))
            browser.open(f"{address}s/0/{view}")
            browser.wait(LOADED.format(least=layers))
            return browser

        yield show
