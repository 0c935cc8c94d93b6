"""Open the slide of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.slides.levels import LEVEL_0
from wsi_seg.slides.slide import Slide

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.settings import LabelSettings


def open_slide(path: Path | str, labels: LabelSettings) -> Slide:
    """Open a slide with the image, the resolution and the levels that the settings give."""
    return Slide(path, labels.mpp, LEVEL_0 if labels.from_level_0 else None, labels.series)
