"""The pictures of the README and of the docs, made from results by the program itself.

    python benchmarks/pictures.py polygons SLIDE GEOJSON X Y WIDTH HEIGHT -o docs/images/polygons.png
    python benchmarks/pictures.py page ADDRESS WIDTH HEIGHT -o docs/images/report.png
    python benchmarks/pictures.py beside PICTURE:TITLE... -o docs/images/NAME.png

`polygons` draws the shapes of a GeoJSON over a part of a slide, as QuPath shows them. X and Y are level-0
pixels from the corner of the slide's bounds. `page` is the beginning of a page in a browser, such as a
training's report or one of `wsi-seg view`. `beside` sets pictures side by side, each with a title.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from gzip import open as open_gzip
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image, ImageDraw

from wsi_seg.results.pictures.lettering import INK, Style, draw_text
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.slide import Slide

SMOOTH = 3
"""Outlines are drawn so many times larger, and reduced."""

WIDTH, GAP = 1100, 16
COLOURS = 96


def polygons(path: Path, geojson: Path, box: tuple[int, int, int, int], mpp: float) -> Image.Image:
    """Draw the shapes that reach into a part of a slide, filled faintly, with their outlines."""
    with Slide(path) as slide:
        frames = slide.frames(mpp)
        x0, y0, width, height = box
        low, high = frames.qupath_to_label([[x0, y0], [x0 + width, y0 + height]]).round().astype(int)
        rect = Rect(int(low[1]), int(low[0]), int(high[1]), int(high[0]))
        base = Image.fromarray(slide.read(rect, frames).rgb)
    size = (base.width * SMOOTH, base.height * SMOOTH)
    above = Image.new("RGBA", size, (0, 0, 0, 0))
    with open_gzip(geojson, "rt") as file:
        features = json.load(file)["features"]
    for feature in features:
        shape, color = feature["geometry"], tuple(feature["properties"]["classification"]["color"])
        parts = [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]
        for rings in parts:
            _draw(above, [SMOOTH * (frames.qupath_to_label(ring) - low) for ring in rings], color)
    above = above.resize(base.size, Image.Resampling.BOX)
    return Image.alpha_composite(base.convert("RGBA"), above).convert("RGB")


def _draw(above: Image.Image, rings: list[np.ndarray], color: tuple[int, int, int]) -> None:
    """Draw one polygon: holes stay clear, and no part is filled twice."""
    outer = rings[0]
    if (outer.max(0) < 0).any() or (outer.min(0) > above.size).any():
        return
    mask = Image.new("L", above.size, 0)
    pen = ImageDraw.Draw(mask)
    pen.polygon([tuple(xy) for xy in outer], fill=70)
    for hole in rings[1:]:
        pen.polygon([tuple(xy) for xy in hole], fill=0)
    for ring in rings:
        pen.line([tuple(xy) for xy in ring], fill=255, width=2 * SMOOTH, joint="curve")
    above.paste(Image.new("RGBA", above.size, (*color, 255)), mask=mask)
    alpha = np.maximum(np.asarray(mask), np.where(np.asarray(mask) > 0, 0, np.asarray(above)[..., 3]))
    above.putalpha(Image.fromarray(alpha.astype(np.uint8)))


def page(address: str, width: int, height: int) -> Image.Image:
    """Show the beginning of a page as a browser does."""
    program = next(filter(None, map(which, ("chromium", "chromium-browser", "google-chrome"))))
    with TemporaryDirectory() as folder:
        file = Path(folder) / "page.png"
        options = "--headless=new --no-sandbox --disable-gpu --hide-scrollbars --virtual-time-budget=20000"
        size = [f"--window-size={width},{height}", f"--screenshot={file}", f"--user-data-dir={folder}"]
        subprocess.run([program, *options.split(), *size, address], check=True, capture_output=True)
        return Image.open(file).convert("RGB")


def beside(pictures: list[str]) -> Image.Image:
    """Set pictures side by side, in one height, each below its title."""
    pairs = [
        (Image.open(path).convert("RGB"), title) for path, _, title in (p.partition(":") for p in pictures)
    ]
    side = (WIDTH - GAP * (len(pairs) - 1)) // len(pairs)
    fitted = [(_fit(picture, side), title) for picture, title in pairs]
    page = Image.new("RGB", (WIDTH, 36 + max(p.height for p, _ in fitted)), (255, 255, 255))
    pen = ImageDraw.Draw(page)
    for number, (picture, title) in enumerate(fitted):
        left = number * (side + GAP)
        draw_text(pen, (left, 22), title, Style(17, INK, bold=True))
        page.paste(picture, (left, 36))
    return page


def _fit(picture: Image.Image, width: int) -> Image.Image:
    height = round(picture.height * width / picture.width)
    return picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    one = kinds.add_parser("polygons")
    one.add_argument("slide", type=Path)
    one.add_argument("geojson", type=Path)
    one.add_argument("box", type=int, nargs=4)
    one.add_argument("--mpp", type=float, default=1.0)
    shown = kinds.add_parser("page")
    shown.add_argument("address")
    shown.add_argument("size", type=int, nargs=2)
    kinds.add_parser("beside").add_argument("pictures", nargs="+")
    for kind in kinds.choices.values():
        kind.add_argument("-o", "--out", type=Path, required=True)
    given = parser.parse_args()
    if given.kind == "polygons":
        picture = polygons(given.slide, given.geojson, tuple(given.box), given.mpp)
    else:
        picture = page(given.address, *given.size) if given.kind == "page" else beside(given.pictures)
    if given.kind != "page":  # whose swatches are too small to keep their colours
        picture = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    picture.save(given.out, optimize=True)
    print(f"{given.out}: {picture.width} x {picture.height} px, {given.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
