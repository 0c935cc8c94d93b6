"""Pages of TIFFs, as tests look at them and change them."""

from __future__ import annotations

import tifffile


def page_of(tiff: tifffile.TiffFile, index: int) -> tifffile.TiffPage:
    """A page, with its tags."""
    page = tiff.pages[index]
    assert isinstance(page, tifffile.TiffPage)
    return page
