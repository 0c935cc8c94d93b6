"""`wsi-seg demo`: generate a slide with exact truth, and score a result against it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsi_seg.cli import signals
from wsi_seg.cli.terminal import say
from wsi_seg.demo import DEMO_SEED
from wsi_seg.wording import counted

app = typer.Typer(no_args_is_help=True)


@app.command("slide")
def make_slide(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The slide to write, .tiff.", show_default=False)
    ],
    size: Annotated[str, typer.Option(help="Width and height in pixels, such as 8192x6144.")] = "8192x6144",
    mpp: Annotated[float, typer.Option(help="Micrometres per pixel.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Which slide.")] = DEMO_SEED,
    stain_seed: Annotated[
        int | None, typer.Option(help="Seed of the stain and the scanner; without it, average ones.")
    ] = None,
    pen: Annotated[bool, typer.Option(help="Draw a pen mark over a corner.")] = True,
    truth: Annotated[bool, typer.Option(help="Write the truth beside the slide.")] = True,
) -> None:
    """Generate an H&E-like breast slide, and its exact truth as OUTPUT's stem with .truth.tiff.

    Example: `wsi-seg demo slide -o demo.tiff`
    """
    from wsi_seg.demo.dye_colours import Stain
    from wsi_seg.demo.generated_slide import truth_path, write_slide
    from wsi_seg.demo.generated_tissue import Tissue
    from wsi_seg.errors import UsageError
    from wsi_seg.slides.resolution import MPP_RANGE

    if output.suffix.lower() not in {".tif", ".tiff"}:
        raise UsageError(f"{output}: slides are written as TIFF: give a name that ends in .tiff")
    if not MPP_RANGE[0] <= mpp <= MPP_RANGE[1]:
        raise UsageError(
            f"--mpp {mpp:g} is not the resolution of a slide: give micrometres per pixel, such as 0.5"
        )
    width, height = parse_size(size)
    signals.working()
    stain = Stain() if stain_seed is None else Stain.random(stain_seed)
    write_slide(
        output, Tissue(seed, width * mpp, height * mpp, stain, pen=pen), (width, height), mpp, truth=truth
    )
    say(str(output))
    if truth:
        say(str(truth_path(output)))


@app.command("score")
def score(
    result: Annotated[Path, typer.Argument(help="Folder that `wsi-seg predict` wrote for the slide.")],
    truth: Annotated[
        Path, typer.Option(help="The truth that was written beside the slide.", show_default=False)
    ],
) -> None:
    """Compare a result with a generated slide's truth: IoU of each class over the whole slide.

    Example: `wsi-seg demo score out/demo --truth demo.truth.tiff`
    """
    from wsi_seg.demo.score_labels import TruthImage, score_labels
    from wsi_seg.errors import UsageError
    from wsi_seg.results.labels.read_labels import read_labels
    from wsi_seg.results.whole import require_whole

    labels = read_labels(result / "slide.ome.zarr")
    unknown = require_whole(labels.path)
    if unknown is not None:
        say(f"wsi-seg: {unknown}", err=True)
    schema = labels.schema
    if schema.ids != tuple(range(len(schema))):
        raise UsageError(f"{result}: classes of {schema.name!r}: score a result of the model breast-demo")
    with TruthImage(truth) as image:
        scored = score_labels(labels.read, labels.frames, image, len(schema))
    width = max(len(c.name) for c in schema.classes)
    confusion = scored.confusion
    for tissue_class, iou, pixels in zip(schema.classes, confusion.iou, confusion.true_pixels, strict=True):
        say(f"{tissue_class.name:<{width}}  {iou:6.3f}  {pixels / max(confusion.pixels, 1):7.2%}")
    over = f"over {counted(int(confusion.present.sum()), 'classes')}, the whole slide"
    say(f"{'mean IoU':<{width}}  {confusion.mean_iou:6.3f}  {over}")
    say(f"{'pixel accuracy':<{width}}  {confusion.pixel_accuracy:6.3f}")
    if scored.unprocessed:
        say(f"{'unprocessed':<{width}}  {counted(scored.unprocessed, 'pixels')}, not counted")


def parse_size(text: str) -> tuple[int, int]:
    """Read ``WIDTHxHEIGHT``.

    Raises
    ------
    UsageError
        If the text is something else.
    """
    from wsi_seg.errors import UsageError

    parts = text.lower().split("x")
    if len(parts) != 2 or not all(p.isascii() and p.isdigit() and int(p) > 0 for p in parts):
        raise UsageError(f"--size {text} is not a size: give width and height in pixels, such as 8192x6144")
    return int(parts[0]), int(parts[1])
