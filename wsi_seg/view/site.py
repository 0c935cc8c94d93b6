"""What a server shows: one slide, or a folder of them, or a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wsi_seg.view.shelf import Shelf
    from wsi_seg.view.shown_slide import Json


@dataclass(frozen=True)
class Front:
    """The first page of a site that shows more than one slide.

    Attributes
    ----------
    page : str
        Its template in ``web/``.
    called : str
        What a slide's page calls it, in the link that leads back.
    about : callable
        Returns what it shows now, as JSON.
    picture : callable
        Returns one of its pictures by name, as the bytes of a PNG or JPEG file; raises KeyError.
    report : callable
        Returns the page of a training's report; None if there is none.
    """

    page: str
    called: str
    about: Callable[[], Json]
    picture: Callable[[str], bytes]
    report: Callable[[], Path | None] = lambda: None


@dataclass(frozen=True)
class Site:
    """All that a server shows.

    Attributes
    ----------
    shelf : Shelf
        The slides.
    front : Front or None
        The page before them; None for one slide, which is shown at once.
    """

    shelf: Shelf
    front: Front | None = None
