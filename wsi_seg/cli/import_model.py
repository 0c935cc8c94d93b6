"""``wsi-seg models import``: networks of others become model files."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsi_seg.cli import signals
from wsi_seg.cli.display import shown
from wsi_seg.cli.terminal import say
from wsi_seg.errors import ModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsi_seg.models.header import ModelHeader
    from wsi_seg.progress import Progress

Triple = tuple[float, float, float]


class Channels(str, Enum):  # noqa: UP042 - Typer takes the options from a str Enum's values
    """Order of colour channels."""

    bgr = "bgr"
    rgb = "rgb"


class AxesOrder(str, Enum):  # noqa: UP042 - as above
    """Order of an image's axes."""

    nchw = "NCHW"
    nhwc = "NHWC"


class Range(str, Enum):  # noqa: UP042 - as above
    """Values of pixels that mean and standard deviation are of."""

    bytes = "255"
    unit = "1"


def import_model(
    checkpoint: Annotated[
        Path,
        typer.Argument(help="An ONNX file (.onnx), or a state dict of the ESPNet authors' code (.pth)."),
    ],
    classes: Annotated[str, typer.Option(help="Class schema: a shipped one's name, or a YAML file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Model file to write (.safetensors).")],
    mean: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Channel means, in the order of --channels.")
    ] = None,
    std: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Channel standard deviations, likewise.")
    ] = None,
    of: Annotated[
        Range | None,
        typer.Option("--range", help="Pixels that mean and std are of: 0 to 255, as by default, or 0 to 1."),
    ] = None,
    channels: Annotated[
        Channels | None, typer.Option(help="Channel order; by default rgb for ONNX, bgr for a state dict.")
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(help="Divisor after mean and std; by default 1 for ONNX, 255 for a state dict."),
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(help="Working resolution for slides, in micrometres per pixel.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Size that plain images are resized to.")
    ] = None,
    output_name: Annotated[
        str | None, typer.Option(help="ONNX: the output to use, if there are several.")
    ] = None,
    layout: Annotated[
        AxesOrder | None, typer.Option(help="ONNX: axes of the input; found out by default.")
    ] = None,
    softmax: Annotated[
        bool | None,
        typer.Option(
            "--softmax/--logits",
            help="ONNX: the output holds probabilities, or logits; found out by default.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model; the file's by default.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Turn an ONNX network, or a checkpoint of the authors' ESPNet, into a model file.

    An ONNX network is checked, tried out, and its reach measured. A checkpoint's shape is read off its
    tensors. Mean, std and size are known for the classes of the released ones, cityscapes and camvid; void,
    which those learned as one class more, is added by itself.
    """
    from wsi_seg.files.plain_files import check_plain
    from wsi_seg.models.classes import load_schema

    try:
        check_plain(checkpoint)
    except FileNotFoundError as error:
        raise ModelError(
            f"{checkpoint}: cannot be read ({error.strerror}): give a checkpoint's path"
        ) from error
    # Only now, as PyTorch takes seconds to import.
    from wsi_seg.models.bundle import save_bundle
    from wsi_seg.models.onnx.importing import import_onnx
    from wsi_seg.models.onnx.ports import Stated
    from wsi_seg.models.upstream import InputOverrides, import_checkpoint

    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: not a model file's name: it must end in .safetensors")
    if output.exists() and not overwrite:
        raise UsageError(f"{output}: already exists: give --overwrite to replace it, or another --output")
    means, stds = _in_bytes(_triple("--mean", mean), _triple("--std", std), of)
    overrides = InputOverrides(channels.value if channels else None, means, stds, scale, mpp, _size(size))
    stated = Stated(output_name, layout.value if layout else None, softmax)
    schema = load_schema(classes)
    is_onnx = checkpoint.suffix == ".onnx"
    if not is_onnx and stated != Stated():
        raise UsageError("--output-name, --layout and --softmax are for ONNX files: leave them out")
    signals.working()
    if is_onnx:
        with shown(1, quiet=False) as progress:
            network, header = import_onnx(
                checkpoint, schema, overrides, stated, name, _runs_shown(checkpoint, progress)
            )
        save_bundle(output, network, header)
        say(f"{output}: {network_in_words(header)}, {network.config.weights:,} parameters")
        say(f"  {network.config.shape}")
        return
    espnet, header = import_checkpoint(checkpoint, schema, overrides, name)
    save_bundle(output, espnet, header)
    count = sum(parameter.numel() for parameter in espnet.parameters())
    say(f"{output}: {network_in_words(header)}, {count:,} parameters")


def _runs_shown(path: Path, progress: Progress) -> Callable[[int, int, float], None]:
    """Show trial runs as they end."""

    def report(done: int, count: int, megapixels: float) -> None:
        if done:
            progress.advance(megapixels)
        else:
            progress.begin(path.name, count, 0, count * megapixels, "trial runs")
        if done == count:
            progress.end()

    return report


def network_in_words(header: ModelHeader) -> str:
    """Name a model's network and count its classes."""
    config = header.architecture.config
    return f"{config.title}, {config.classes} classes"


def _in_bytes(
    mean: Triple | None, std: Triple | None, of: Range | None
) -> tuple[Triple | None, Triple | None]:
    """Return mean and standard deviation for pixels of 0 to 255."""
    given = [each for each in (mean, std) if each is not None]
    small = bool(given) and all(abs(value) <= 1 for each in given for value in each)
    if of is None and small:
        raise UsageError(
            "--mean, --std: whether they are for pixels of 0 to 1 or of 0 to 255 cannot be seen: give "
            "--range 1 or --range 255"
        )
    if of is not Range.unit:
        return mean, std
    if not small:
        raise UsageError("--range 1: mean and std are larger than pixels of 0 to 1 have: leave it out")
    return _times_255(mean), _times_255(std)


def _times_255(values: Triple | None) -> Triple | None:
    return None if values is None else (values[0] * 255, values[1] * 255, values[2] * 255)


def _triple(option: str, text: str | None) -> Triple | None:
    if text is None:
        return None
    try:
        first, second, third = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{option} {text}: give three numbers, separated by commas") from error
    return first, second, third


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError as error:
        raise UsageError(f"--size {text}: give width and height, such as 1024x512") from error
    return width, height
