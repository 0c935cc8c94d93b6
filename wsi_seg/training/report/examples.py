"""Validation patches with truth and prediction side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from wsi_seg.data.sources import IGNORE
from wsi_seg.files.files import replacing
from wsi_seg.models.classes import OUTSIDE_ID
from wsi_seg.results.pictures.legend import SWATCH, Entry, draw_legend
from wsi_seg.results.pictures.lettering import INK, MUTED, Color, Style, draw_text, fitted
from wsi_seg.results.pictures.painting import mean_color, paint_classes, paint_slide, paint_swatch
from wsi_seg.training.report.contents import PANELS, picture_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.training.report.contents import Example

PANEL = 480
"""Width of a panel in pixels, and the greatest height."""

QUALITY, SAMPLED = 85, "4:4:4"
"""Of single pictures: only looked at, but classes of single pixels keep their colours."""

MARGIN, ROW_GAP = 32, 26
COLUMN = PANEL + 2 + 12
"""Pixels between the frames of two panels."""

FRAME_COLOR: Color = (205, 210, 215)
HEADING = Style(20, INK, bold=True)
NAME = Style(17, INK)
AGREEMENT = Style(17, MUTED)


def draw_examples(examples: Sequence[Example], schema: ClassSchema) -> Image.Image:
    """Draw each example as a row of image, truth and prediction, with a legend below."""
    width = 2 * COLUMN + PANEL + 2
    strips = [_headings(width), *(_row(example, schema, width) for example in examples)]
    strips.append(draw_legend(legend_entries(examples, schema), (), width))
    height = sum(strip.height for strip in strips) + ROW_GAP * (len(strips) - 2)
    page = Image.new("RGB", (width + 2 * MARGIN, height + 2 * MARGIN), "white")
    y = MARGIN
    for i, strip in enumerate(strips):
        page.paste(strip, (MARGIN, y))
        y += strip.height + (ROW_GAP if i else 0)
    return page


def _headings(width: int) -> Image.Image:
    """Name the columns."""
    picture = Image.new("RGB", (width, 30), "white")
    draw = ImageDraw.Draw(picture)
    for column, name in enumerate(PANELS):
        draw_text(draw, (column * COLUMN, 18), name, HEADING)
    return picture


def _row(example: Example, schema: ClassSchema, width: int) -> Image.Image:
    """Draw one example: its name, its share of right pixels, and three panels."""
    panels = painted_panels(example, schema)
    size, top = panels[0].size, 26
    picture = Image.new("RGB", (width, size[1] + top + 2), "white")
    draw = ImageDraw.Draw(picture)
    remark = agreement(example)
    draw_text(draw, (0, 17), fitted(example.name, NAME, 2 * COLUMN - 20), NAME)
    draw_text(draw, (2 * COLUMN, 17), remark, AGREEMENT)
    for column, panel in enumerate(panels):
        x = column * COLUMN
        draw.rectangle((x, top, x + size[0] + 1, top + size[1] + 1), outline=FRAME_COLOR)
        picture.paste(panel, (x + 1, top + 1))
    return picture


def painted_panels(example: Example, schema: ClassSchema) -> tuple[Image.Image, ...]:
    """Paint the image, the truth and the prediction, at one size."""
    height, across = example.truth.shape
    scale = min(PANEL / across, PANEL / height)
    size = max(1, round(across * scale)), max(1, round(height * scale))
    return (
        paint_slide(example.rgb, size),
        paint_classes(example.rgb, label_values(example.truth, schema), schema, size),
        paint_classes(example.rgb, label_values(example.prediction, schema), schema, size),
    )


def save_panels(examples: Sequence[Example], schema: ClassSchema, folder: Path) -> None:
    """Save the panels of each example as single pictures, in the folder of the report.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    for number, example in enumerate(examples, 1):
        for what, panel in zip(PANELS, painted_panels(example, schema), strict=True):
            with replacing(folder / picture_of(number, what)) as partial:
                panel.save(partial, format="JPEG", quality=QUALITY, subsampling=SAMPLED)


def agreement(example: Example) -> str:
    """Describe how much of a patch is known, and how much of that is right."""
    known = float((example.truth != IGNORE).mean())
    return f"{100 * example.right:.1f} % right, {100 * known:.0f} % known" if known else "no known pixels"


def legend_entries(examples: Sequence[Example], schema: ClassSchema) -> list[Entry]:
    """Return the entries of the legend: the classes that occur, then unknown pixels."""
    occurring = np.unique([v for e in examples for v in (*np.unique(e.truth), *np.unique(e.prediction))])
    entries = [
        Entry(_framed(paint_swatch(c.id, schema, SWATCH, _color_under(i, examples))), c.name)
        for i, c in enumerate(schema.classes)
        if i in occurring
    ]
    if IGNORE in occurring:
        entries.append(Entry(_framed(paint_swatch(OUTSIDE_ID, schema, SWATCH)), "Not known"))
    return entries


def _color_under(index: int, examples: Sequence[Example]) -> NDArray[np.uint8]:
    """Return the mean colour of the slides where a class is known or was found."""
    rgb = np.concatenate([e.rgb.reshape(-1, 3) for e in examples])
    classes = np.concatenate([((e.truth == index) | (e.prediction == index)).ravel() for e in examples])
    return mean_color(rgb, classes)


def _framed(swatch: Image.Image) -> Image.Image:
    """Put a thin line around a swatch, which may be nearly white."""
    ImageDraw.Draw(swatch).rectangle((0, 0, SWATCH[0] - 1, SWATCH[1] - 1), outline=FRAME_COLOR)
    return swatch


def label_values(classes: NDArray[np.uint8], schema: ClassSchema) -> NDArray[np.uint8]:
    """Turn class indices into the label values to paint; unknown pixels are veiled."""
    values = np.full(256, OUTSIDE_ID, np.uint8)
    values[: len(schema)] = schema.ids
    return values[classes]
