"""`wsi-seg info`: the properties of slide files."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsi_seg.cli.terminal import say, say_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wsi_seg.slides.readers.images import TiffImage
    from wsi_seg.slides.readers.zarr_images import ListedImage
    from wsi_seg.slides.slide import Slide


def info(
    slides: Annotated[
        list[Path], typer.Argument(help="Slides, folders of slides, or QuPath projects.", show_default=False)
    ],
    series: Annotated[
        int | None, typer.Option(min=0, help="Which image of the files. [default: the largest in colour]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the properties of slide files: format, size, levels, resolution, bounds, tiles, colour profile.

    Each coarser level is compared with the finer ones: a level that shows something else is not read.

    Example: `wsi-seg info slide.svs other.mrxs --json`
    """
    from wsi_seg.errors import SlideError

    described: list[dict[str, Any]] = []
    failed = False
    for given in slides:
        for opened in _slides(given, series):
            try:
                with opened() as slide:
                    described.append(describe(slide))
            except SlideError as error:
                failed = True
                say(f"wsi-seg: {error}", err=True)
    if as_json:
        say_lines(json.dumps(described, indent=2))
    else:
        for one in described:
            _print(one)
    if failed:
        raise typer.Exit(1)


def _slides(given: Path, series: int | None) -> Iterator[Callable[[], Slide]]:
    """Yield what opens each slide that a path names: itself, those in a folder, those of a QuPath project."""
    from wsi_seg.data.projects.qupath_project import find_project, read_project
    from wsi_seg.slides.in_folder import FolderSlides, slides_in
    from wsi_seg.slides.readers.zarr_store import is_store
    from wsi_seg.slides.slide import Slide

    project = find_project(given)
    if project is not None:
        for entry in read_project(project):
            yield partial(entry.open, series)
        return
    found = slides_in(given) if given.is_dir() and not is_store(given) else FolderSlides((given,))
    for line in found.passed_over:
        say(f"wsi-seg: {line}", err=True)
    for path in found.slides:
        yield partial(Slide, path, series=series)


def describe(slide: Slide) -> dict[str, Any]:
    """Collect a slide's properties, JSON-able; mpp is None if it is not stated."""
    from wsi_seg.errors import MppError

    problem: str | None = None
    mpp: tuple[float, float] | None = None
    source: str | None = None
    try:
        mpp, source = slide.resolution.mpp, slide.resolution.source
    except MppError as error:
        problem = str(error)
    profile = slide.icc_profile
    return {
        "slide": str(slide.path),
        "format": slide.format,
        "read_with": slide.read_with,
        "width": slide.size[0],
        "height": slide.size[1],
        "mpp": mpp,
        "mpp_source": source,
        "mpp_problem": problem,
        "objective_power": slide.objective_power,
        "bounds": slide.bounds.model_dump(),
        "levels": [
            {
                "width": level.width,
                "height": level.height,
                "downsample": [level.scale_x, level.scale_y],
                "tile": [level.tile_width, level.tile_height],
                "read": index in slide.levels_read,
                "agreement": str(agreement) if agreement else None,
                "difference": agreement.difference if agreement else None,
            }
            for index, (level, agreement) in enumerate(
                zip(slide.levels, (None, *slide.agreements), strict=True)
            )
        ],
        "images": [
            {
                "number": image.index,
                "name": image.name,
                "width": image.width,
                "height": image.height,
                "read": read,
                "left_out": [one._asdict() for one in image.left_out],
            }
            for image, read in _images(slide)
        ],
        "icc_profile_bytes": 0 if profile is None else len(profile),
    }


def _images(slide: Slide) -> Sequence[tuple[TiffImage | ListedImage, bool]]:
    """Return the images of an OME-Zarr or of a TIFF that many programs write; other formats hold one."""
    from wsi_seg.slides.readers import zarr_images
    from wsi_seg.slides.readers.images import list_images
    from wsi_seg.slides.readers.reader_choice import PLAIN_TIFF

    if slide.format == "ome-zarr":
        return [(image, image.read) for image in zarr_images.list_images(slide.path, slide.series)]
    return list_images(slide.path, slide.series) if slide.format in PLAIN_TIFF else []


def _print(one: dict[str, Any]) -> None:
    width, height, bounds, mpp = one["width"], one["height"], one["bounds"], one["mpp"]
    power = one["objective_power"]
    whole = (bounds["x"], bounds["y"], bounds["width"], bounds["height"]) == (0, 0, width, height)
    say(one["slide"])
    say(f"  format      {one['format']}, read with {one['read_with']}")
    say(f"  size        {width} x {height} px ({width * height / 1e6:.1f} MP)")
    if mpp is None:
        problem = one["mpp_problem"].removeprefix(f"{one['slide']}: ")
        say(f"  resolution  not usable: {problem}")
    else:
        area = bounds["width"] * mpp[0] * bounds["height"] * mpp[1] / 1e6
        stated = f"{mpp[0]:.4g} x {mpp[1]:.4g} um per px ({area:.2f} mm2)"
        say(f"  resolution  {stated}, from {one['mpp_source']}")
    say(f"  objective   {'not stated' if power is None else f'{power:g}x'}")
    if not whole:
        say(
            f"  bounds      {bounds['width']} x {bounds['height']} px at ({bounds['x']}, {bounds['y']}): "
            "what QuPath shows"
        )
    for i, level in enumerate(one["levels"]):
        say(
            f"  level {i:<5} {level['width']} x {level['height']} px, 1/{level['downsample'][0]:g}, "
            f"tiles of {level['tile'][0]} x {level['tile'][1]}"
            + (f", {level['agreement']}" if level["agreement"] else "")
        )
    for image in one["images"] if len(one["images"]) > 1 else ():
        name = f", {image['name']!r}" if image["name"] else ""
        read = ", this one" if image["read"] else f": --series {image['number']}"
        say(f"  image {image['number']:<5} {image['width']} x {image['height']} px{name}{read}")
    for image in one["images"]:
        for left in image["left_out"]:
            of = f", of image {image['number']}" if len(one["images"]) > 1 else ""
            say(f"  left out    {left['width']} x {left['height']} px{of}: {left['why']}")
    profile = one["icc_profile_bytes"]
    say(f"  ICC profile {f'{profile} bytes' if profile else 'none'}")
