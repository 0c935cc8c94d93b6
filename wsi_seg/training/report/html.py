"""The page of a training's report as HTML: whole in one file, with its pictures in it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wsi_seg.pages.rendering import data_uri, render
from wsi_seg.training.report.contents import PANELS
from wsi_seg.training.report.examples import QUALITY, SAMPLED, agreement, legend_entries, painted_panels

if TYPE_CHECKING:
    from PIL import Image

    from wsi_seg.training.report.elements import Examples, Page

TEMPLATE = Path(__file__).with_name("training_report.html")


@dataclass(frozen=True)
class ShownPicture:
    """A picture in the page, and what it is called."""

    uri: str
    says: str
    width: int
    height: int


@dataclass(frozen=True)
class ShownExample:
    """A validation patch, what is right of it, and its pictures."""

    name: str
    agreement: str
    panels: tuple[ShownPicture, ...]


@dataclass(frozen=True)
class HtmlPage:
    """What the template knows: the page, and its pictures.

    Attributes
    ----------
    page : Page
    folder : Path
        Where the pictures are that the page names.
    """

    page: Page
    folder: Path

    @property
    def title(self) -> str:
        """The title."""
        return self.page.title

    @property
    def opening(self) -> object:
        """The blocks below it."""
        return self.page.opening

    @property
    def contents(self) -> object:
        """The sections."""
        return self.page.contents

    def uri_of(self, file: str) -> str:
        """Return a chart beside the page, as an address that holds it."""
        return data_uri((self.folder / file).read_bytes(), "image/png")

    @staticmethod
    def shown(block: Examples) -> list[ShownExample]:
        """Return the examples with their pictures."""
        shown = []
        for example in block.examples:
            panels = zip(PANELS, painted_panels(example, block.schema), strict=True)
            pictures = tuple(
                ShownPicture(_packed(panel, "JPEG"), says, panel.width, panel.height)
                for says, panel in panels
            )
            shown.append(ShownExample(example.name, agreement(example), pictures))
        return shown

    @staticmethod
    def legend(block: Examples) -> list[ShownPicture]:
        """Return a swatch and a name for each class that occurs."""
        entries = legend_entries(block.examples, block.schema)
        return [ShownPicture(_packed(e.swatch, "PNG"), e.name, *e.swatch.size) for e in entries]


def render_html(page: Page, folder: Path) -> str:
    """Write a page that any browser shows, and that needs no file beside it.

    Parameters
    ----------
    page : Page
    folder : Path
        Where its pictures are.

    Raises
    ------
    OSError
        If a picture cannot be read.
    """
    return render(TEMPLATE, HtmlPage(page, folder))


def _packed(picture: Image.Image, kind: str) -> str:
    packed = io.BytesIO()
    picture.save(packed, format=kind, quality=QUALITY, subsampling=SAMPLED)
    return data_uri(packed.getvalue(), f"image/{kind.lower()}")
