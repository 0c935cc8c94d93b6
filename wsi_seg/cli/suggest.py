"""`wsi-seg suggest`: where to outline next."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsi_seg.cli import signals
from wsi_seg.cli.terminal import say
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsi_seg.api.suggestions import Suggestions
    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.suggestion.asked_slides import SuggestSettings

reading = partial(typer.Option, rich_help_panel="How slides are read")
running = partial(typer.Option, rich_help_panel="How it runs")


def suggest(
    slides: Annotated[
        list[Path],
        typer.Argument(
            metavar="SLIDE...",
            help="Slides, QuPath projects, or one CSV file (slide,annotations[,mpp]).",
            show_default=False,
        ),
    ],
    model: Annotated[
        str, typer.Option(help="Model file, or the name of a built-in model.", show_default=False)
    ],
    outlines: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="What is outlined so far, which is not suggested again. Can be repeated: the first file "
            "belongs to the first slide, and so on; of one slide, all do.",
        ),
    ] = None,
    windows: Annotated[int, typer.Option(help="How many windows, over all slides together.")] = 6,
    window_um: Annotated[float, typer.Option(help="Side of a window in um.")] = 500,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            help="GeoJSON file for QuPath. With several slides, each gets one: next-SLIDE.geojson.",
        ),
    ] = Path("next.geojson"),
    doubtful: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the outlines that the network contradicts, worst first."),
    ] = None,
    mpp: Annotated[
        float | None, reading(help="The slides' um per pixel, if a file states none or a wrong one.")
    ] = None,
    working_mpp: Annotated[float | None, reading(help="Look at this um per pixel, not the model's.")] = None,
    allow_coarser: Annotated[
        bool, reading("--allow-coarser", help="Take slides coarser than the model's mpp too.")
    ] = False,
    from_level_0: Annotated[
        bool, reading("--from-level-0", help="Read level 0, not the coarser levels in the files: slower.")
    ] = False,
    series: Annotated[
        int | None, reading(min=0, help="Which image of the slide files, as `info` numbers them.")
    ] = None,
    device: Annotated[str, running(help="auto, cpu, cuda or cuda:N.")] = "auto",
    quiet: Annotated[bool, running("--quiet", "-q", help="Show nothing but errors and the windows.")] = False,
) -> None:
    """Say where to outline next: the windows of slides that would teach a model most.

    Writes them as QuPath annotations of class Region*, each named with its rank and the reason. Outline all
    that is in them, and train with `--roi-class "Region*" --rest CLASS`.

    Examples
    --------
        wsi-seg suggest slide.svs --model tumour/model.safetensors --outlines outlines.geojson

        wsi-seg suggest a.svs b.svs --model tumour/model.safetensors --outlines a.geojson -o next.geojson

        wsi-seg suggest slide.svs --model m.safetensors --outlines outlines.geojson --doubtful look.geojson
    """
    from wsi_seg.cli.display import shown
    from wsi_seg.models.lookup import resolve_model
    from wsi_seg.suggestion.asked_slides import read_asked

    signals.working()
    labels: dict[str, object] = {
        "mpp": mpp,
        "working_mpp": working_mpp,
        "allow_coarser": allow_coarser,
        "from_level_0": from_level_0,
        "series": series,
    }
    settings = _settings(windows, window_um, labels)
    read_asked(slides, outlines or [], settings.labels)
    path = resolve_model(model)
    # Only now, as PyTorch takes seconds to import.
    from wsi_seg.api.model import load_model
    from wsi_seg.api.suggesting import suggest_into
    from wsi_seg.suggestion.drawings import Targets

    looking = load_model(path)
    with shown(1, quiet) as progress:
        found = suggest_into(
            Targets(out, doubtful), slides, outlines or [], looking, settings, device, progress
        )
        for remark in found.remarks:
            progress.say(remark)
    _print(found, window_um, doubtful is not None, looking.bundle)


def command_after(
    data: Sequence[Path],
    model: Path,
    mpp: float | None,
    allow_coarser: bool,
    from_level_0: bool,
    series: int | None,
) -> str:
    """Return the command that suggests what to outline after a training on these data.

    Parameters
    ----------
    data : sequence of Path
        Slides and outlines in turn, or one CSV file, as `train` takes them.
    model : Path
        What was trained.
    mpp, allow_coarser, from_level_0, series
        As they were given to `train`.
    """
    slides, outlines = (data, []) if len(data) == 1 else (data[::2], data[1::2])
    words = ["wsi-seg", "suggest", *map(str, slides), "--model", str(model)]
    for path in outlines:
        words += ["--outlines", str(path)]
    words += [] if mpp is None else ["--mpp", f"{mpp:g}"]
    words += ["--allow-coarser"] if allow_coarser else []
    words += ["--from-level-0"] if from_level_0 else []
    words += [] if series is None else ["--series", str(series)]
    return shlex.join(words)


def _settings(windows: int, window_um: float, labels: dict[str, object]) -> SuggestSettings:
    from pydantic import ValidationError

    from wsi_seg.errors import UsageError, explain
    from wsi_seg.suggestion.asked_slides import SuggestSettings

    try:
        return SuggestSettings.model_validate({"windows": windows, "window_um": window_um, "labels": labels})
    except ValidationError as error:
        said = explain(error).removeprefix("labels.").replace("_", "-", 1)
        raise UsageError(f"--{said}: see `wsi-seg suggest --help`") from error


def _print(found: Suggestions, window_um: float, doubts: bool, model: ModelBundle) -> None:
    from wsi_seg.slides.slide_names import shown_name

    several = len(found.files) > (2 if doubts else 1)  # of each slide one, or two
    say(f"{counted(len(found.windows), 'windows')} of {window_um:g} um to outline next:")
    for window in found.windows:
        say(f"  {window.rank}  {f'{shown_name(window.slide)}: ' if several else ''}{window.reason}")
    if doubts:
        said = "outlines that the network contradicts"
        say(f"{counted(len(found.doubtful), said)}{':' if found.doubtful else ''}")
    for doubt in found.doubtful if doubts else ():
        said = f"drawn as {doubt.drawn_as}, taken for {doubt.taken_for} on {doubt.share:.0%} of it"
        say(f"  {doubt.rank}  {f'{shown_name(doubt.slide)}: ' if several else ''}{said}")
    for path in found.files:
        say(f"  {path}")
    rest = model.rest
    if model.rest_is_tissue:
        say(
            f"  the model was taught that all tissue beside the outlines is {rest}: if it is, outline what "
            f"is not, and train with --rest {shlex.quote(rest or '')} alone, as --roi-class limits that to "
            "the windows; or else"
        )
    say(
        "  outline all that is in the windows, export, and train with "
        f"--roi-class {shlex.quote('Region*')} --rest {'CLASS' if rest is None else shlex.quote(rest)}"
    )
