"""The picture that a pathologist sees first: the slide, the classes over it, a legend, a scale bar."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from wsi_seg.errors import UsageError
from wsi_seg.files.files import replacing
from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID
from wsi_seg.results.pictures.legend import SWATCH, Entry, draw_legend, format_area, told_apart
from wsi_seg.results.pictures.lettering import (
    INK,
    MUTED,
    Color,
    Style,
    draw_text,
    fitted,
    text_width,
    wrapped,
)
from wsi_seg.results.pictures.painting import (
    mean_color,
    paint_classes,
    paint_mask,
    paint_slide,
    paint_swatch,
)
from wsi_seg.results.pictures.scene import Scene
from wsi_seg.results.summary import summarise_classes
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from wsi_seg.results.familiarity import Familiarity
    from wsi_seg.results.labels.read_labels import LabelPyramid

LONGEST_SIDE = 1600
NARROWEST = 940
PANELS_HEIGHT = 1130
MARGIN, GAP = 40, 24
WORTH_STACKING = 1.25
"""How many times larger two panels have to be, one below the other, to lie so."""

TISSUE_COLOR: Color = (0, 110, 80)
FRAME_COLOR: Color = (205, 210, 215)
AMBER_FILL, AMBER_BAR, AMBER_INK = (255, 244, 214), (240, 173, 20), (92, 66, 0)

TITLE = Style(34, INK, bold=True)
SUBTITLE = Style(20, MUTED)
NOTICE = Style(21, AMBER_INK, bold=True)
PANEL_NAME = Style(18, MUTED)
PLATE = Style(20, INK, bold=True)


def write_overview_picture(
    path: Path,
    rgb: NDArray[np.uint8],
    labels: LabelPyramid,
    pixels: Mapping[int, int],
    tissue: NDArray[np.bool_] | None = None,
    familiarity: Familiarity | None = None,
) -> None:
    """Draw a finished result and save the picture as a PNG, completely or not at all.

    Parameters
    ----------
    path : Path
        The file to write, ``.../overview.png``.
    rgb : array of uint8, shape (h, w, 3)
        The slide at one of the levels of the labels.
    labels : LabelPyramid
        The result. Its attributes ``slide``, ``model`` and ``notice`` are written on the picture.
    pixels : mapping of int to int
        Number of label pixels by label value, over the whole slide.
    tissue : array of bool, shape (h, w), optional
        The tissue, at the resolution of `rgb`.
    familiarity : Familiarity, optional
        What to warn of if the slide is unlike the model's training tissue.

    Raises
    ------
    UsageError
        If no level of the labels has the size of `rgb`.
    OutputError
        If the labels are damaged, or the picture cannot be written.
    """
    height, width = rgb.shape[:2]
    level = next((k for k, array in enumerate(labels.levels) if array.shape == (height, width)), None)
    if level is None:
        raise UsageError(f"{labels.path}: no level of its labels has {width} x {height} pixels")
    attributes = labels.attributes
    scene = Scene(
        rgb=rgb,
        labels=labels.read(Rect(0, 0, height, width), level),
        pixel_um=labels.frames.coarsened(2**level).label_mpp,
        schema=labels.schema,
        classes=summarise_classes(dict(pixels), labels.schema, labels.frames),
        unprocessed_mm2=pixels.get(UNPROCESSED_ID, 0) * labels.frames.label_pixel_um2 / 1e6,
        slide=str(attributes.get("slide", labels.path.name)),
        model=str(attributes.get("model", "")),
        notices=tuple(_notices(attributes.get("notice"), familiarity)),
        tissue=tissue,
    )
    save_png(draw_overview(scene), path)


def _notices(notice: str | None, familiarity: Familiarity | None) -> Iterator[str]:
    if notice:
        yield notice
    if familiarity is not None and familiarity.doubtful:
        yield f"{familiarity.line[0].upper()}{familiarity.line[1:]}"


def save_png(picture: Image.Image, path: Path) -> None:
    """Save a picture, completely or not at all.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with replacing(path) as partial:
        picture.save(partial, format="PNG", compress_level=2)


def draw_overview(scene: Scene) -> Image.Image:
    """Draw heading, slide and classes, and legend, one below the other.

    The picture is at most about 1600 pixels on a side; only a very long legend makes it higher.
    """
    panels = _draw_panels(scene)
    width = max(NARROWEST, panels.width)
    absent = [told_apart(c.name, c.id) for c in scene.classes if c.name in scene.absent]
    strips = [_draw_heading(scene, width), panels, draw_legend(_entries(scene), absent, width)]
    height = sum(strip.height for strip in strips) + GAP * (len(strips) - 1)
    page = Image.new("RGB", (width + 2 * MARGIN, height + 2 * MARGIN), "white")
    y = MARGIN
    for strip in strips:
        page.paste(strip, (MARGIN, y))
        y += strip.height + GAP
    return page


def _draw_heading(scene: Scene, width: int) -> Image.Image:
    """Draw the slide's name, the facts of the run, and the notices on amber."""
    lines = [line for notice in scene.notices for line in wrapped(notice, NOTICE, width - 36)]
    picture = Image.new("RGB", (width, 68 + (len(lines) * 30 + 38 if lines else 0)), "white")
    draw = ImageDraw.Draw(picture)
    draw_text(draw, (0, 30), fitted(scene.slide, TITLE, width), TITLE)
    facts = [scene.model and f"Model: {scene.model}", f"Classified: {format_area(scene.classified_mm2)}"]
    draw_text(draw, (0, 62), fitted(" · ".join(filter(None, facts)), SUBTITLE, width), SUBTITLE)
    if lines:
        draw.rectangle((0, 84, width, picture.height), fill=AMBER_FILL)
        draw.rectangle((0, 84, 6, picture.height), fill=AMBER_BAR)
        for i, line in enumerate(lines):
            draw_text(draw, (22, 114 + 30 * i), line, NOTICE)
    return picture


def _draw_panels(scene: Scene) -> Image.Image:
    """Draw the slide and the classes: side by side, or stacked if that shows them much larger."""
    height, width = scene.labels.shape
    um_wide, um_high = width * scene.pixel_um[0], height * scene.pixel_um[1]
    room = LONGEST_SIDE - 2 * MARGIN - 4
    beside = min((room - GAP) / 2 / um_wide, PANELS_HEIGHT / um_high)
    stacked = min(room / um_wide, (PANELS_HEIGHT - GAP) / 2 / um_high)
    one_below_the_other = stacked > WORTH_STACKING * beside
    scale = stacked if one_below_the_other else beside
    size = max(1, round(um_wide * scale)), max(1, round(um_high * scale))

    with ThreadPoolExecutor(1, "overview") as beside:
        painting = beside.submit(paint_classes, scene.rgb, scene.labels, scene.schema, size)
        if scene.tissue is None:
            slide = paint_slide(scene.rgb, size)
        else:
            slide = paint_mask(scene.rgb, scene.tissue, size, TISSUE_COLOR)
        _draw_scale_bar(slide, um_wide)
        classes = painting.result()
    if scene.emptiness is not None:
        _draw_message(classes, scene.emptiness)
    left, right = _framed(slide, "Slide"), _framed(classes, "Classes")

    step = (0, left.height + GAP) if one_below_the_other else (left.width + GAP, 0)
    panels = Image.new("RGB", (left.width + step[0], left.height + step[1]), "white")
    panels.paste(left, (0, 0))
    panels.paste(right, step)
    return panels


def _framed(panel: Image.Image, name: str) -> Image.Image:
    """Draw a thin frame around a panel, and its name above."""
    top = 28
    picture = Image.new("RGB", (panel.width + 2, panel.height + top + 2), "white")
    draw = ImageDraw.Draw(picture)
    draw_text(draw, (0, 18), name, PANEL_NAME)
    draw.rectangle((0, top, panel.width + 1, top + panel.height + 1), outline=FRAME_COLOR)
    picture.paste(panel, (1, top + 1))
    return picture


def _draw_scale_bar(panel: Image.Image, um_wide: float) -> None:
    """Draw a bar of a round length into the panel's lower left corner."""
    um = round_length(um_wide / 4)
    length = um / um_wide * panel.width
    text = f"{um / 1000:g} mm" if um >= 100 else f"{um:g} um"
    plate = max(length, text_width(text, PLATE)) + 24
    draw = ImageDraw.Draw(panel)
    x, y = 14, panel.height - 14
    draw.rounded_rectangle((x, y - 50, x + plate, y), radius=6, fill="white", outline=FRAME_COLOR)
    draw.rectangle((x + 12, y - 16, x + 12 + length, y - 11), fill=INK)
    draw_text(draw, (x + 12, y - 25), text, PLATE)


def round_length(limit: float) -> float:
    """Return the longest of 1, 2 or 5 times a power of ten that is at most `limit`."""
    power = 10.0 ** math.floor(math.log10(limit))
    return power * max(step for step in (1, 2, 5) if step * power <= limit * (1 + 1e-9))


def _draw_message(panel: Image.Image, message: str) -> None:
    """Write a message on a white plate in the middle of a panel."""
    text = fitted(message, PLATE, panel.width - 48)
    half = text_width(text, PLATE) / 2
    x, y = panel.width / 2, panel.height / 2
    draw = ImageDraw.Draw(panel)
    plate = (x - half - 20, y - 26, x + half + 20, y + 26)
    draw.rounded_rectangle(plate, radius=8, fill="white", outline=FRAME_COLOR)
    draw_text(draw, (x - half, y + 7), text, PLATE)


def _entries(scene: Scene) -> list[Entry]:
    """Return the legend's lines: classes by area, then what is not a class."""
    entries = []
    for c in scene.found:
        color = mean_color(scene.rgb, scene.labels == c.id)  # else dark tissue looks unlike its swatch
        swatch = paint_swatch(c.id, scene.schema, SWATCH, color)
        entries.append(Entry(swatch, told_apart(c.name, c.id), c.mm2, c.share))
    if scene.unprocessed_mm2 > 0:
        swatch = paint_swatch(UNPROCESSED_ID, scene.schema, SWATCH)
        entries.append(Entry(swatch, "Could not be read", scene.unprocessed_mm2))
    if (scene.labels == OUTSIDE_ID).any():
        swatch = paint_swatch(OUTSIDE_ID, scene.schema, SWATCH)
        frame = (0, 0, SWATCH[0] - 1, SWATCH[1] - 1)
        ImageDraw.Draw(swatch).rectangle(frame, outline=FRAME_COLOR)
        entries.append(Entry(swatch, "Not analysed"))
    if scene.tissue is not None:
        swatch = Image.new("RGB", SWATCH, "white")
        ImageDraw.Draw(swatch).rectangle(
            (0, SWATCH[1] // 2 - 1, SWATCH[0], SWATCH[1] // 2), fill=TISSUE_COLOR
        )
        entries.append(Entry(swatch, "Tissue that was found"))
    return entries
