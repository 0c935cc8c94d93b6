"""``wsi-seg models``: import checkpoints; list, show and export model files."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from wsi_seg.cli import signals
from wsi_seg.cli.import_model import import_model, network_in_words
from wsi_seg.cli.terminal import say, say_lines
from wsi_seg.errors import ModelError, UsageError, printable
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.models.header import InputSpec
    from wsi_seg.models.network import Network
    from wsi_seg.models.remembered import RememberedTissue

AT_LENGTH = ("recipe", "input", "limits", "slides")
"""Parts of the training provenance of dozens of values each: `show` leaves them to ``--json``."""

app = typer.Typer(help="Import, list, inspect and export model files.", no_args_is_help=True)


class ExportFormat(str, Enum):  # noqa: UP042 - Typer takes the options from a str Enum's values
    """Formats for other programs."""

    onnx = "onnx"
    torchscript = "torchscript"


app.command("import")(import_model)


@app.command("list")
def list_models(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Folders whose .safetensors files are listed too.")
    ] = None,
) -> None:
    """List the built-in models, and the model files in FOLDERS."""
    from wsi_seg.models.described import read_header
    from wsi_seg.models.lookup import builtin_models

    entries = [(name, path, "built in") for name, path in builtin_models().items()]
    for folder in folders or []:
        if not folder.is_dir():
            raise UsageError(f"{folder}: not a folder: give folders that hold model files")
        entries += [(str(path), path, "") for path in sorted(folder.glob("*.safetensors"))]
    if not entries:
        say("No models: none is built in, and no folder with .safetensors files was given.")
    failed = False
    for model, path, origin in entries:
        try:
            header = read_header(path)
        except ModelError as error:
            failed = True
            say(f"wsi-seg: {error}", err=True)
            continue
        about = [header.name, network_in_words(header), _works_at(header.input), origin]
        _print(_plain(model, style="bold"), _plain(f"  {'; '.join(filter(None, about))}"))
    if failed:
        raise typer.Exit(1)


@app.command("show")
def show_model(
    model: Annotated[str, typer.Argument(help="A built-in model's name, or a model file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document.")] = False,
) -> None:
    """Show all information in a model file, after checking the whole file."""
    from wsi_seg.models.lookup import resolve_model

    path = resolve_model(model)
    from wsi_seg.models.bundle import load_bundle  # only now, as PyTorch takes seconds to import

    bundle = load_bundle(path)
    if as_json:
        document = bundle.header.model_dump(mode="json") | {
            "parameters": _parameters(bundle.network),
            "fingerprint": bundle.fingerprint,
            "path": str(bundle.path),
        }
        say_lines(json.dumps(document, indent=2))
        return
    notice = [_plain(bundle.notice, style="yellow")] if bundle.notice else []
    _print(_plain(bundle.name, style="bold"), *notice, _indented(_facts(_summary(bundle))))
    _print(Text("Classes", style="bold"), _indented(_class_table(bundle.schema)))
    if bundle.training:
        brief = {name: fact for name, fact in bundle.training.items() if name not in AT_LENGTH}
        _print(Text("Training", style="bold"), _indented(_facts(_flattened(brief))))
        left_out = [name for name in AT_LENGTH if name in bundle.training]
        if left_out:
            _print(_plain(f"{', '.join(left_out)}: see --json", style="dim"))


@app.command("export")
def export_model(
    model: Annotated[str, typer.Argument(help="A built-in model's name, or a model file.")],
    form: Annotated[ExportFormat, typer.Option("--format", help="What to write.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="File to write (.onnx or .pt); its .config.json goes beside it."),
    ],
    patch: Annotated[
        int, typer.Option(help="Recommended side of a patch in pixels, for the .config.json.")
    ] = 512,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
) -> None:
    """Export a model's network for other programs, with a test that it gives the same logits.

    It takes any number of normalised RGB images, (N, 3, H, W), with sides that fit the network, and gives
    logits at full size. NAME.config.json has classes, resolution and normalisation, as WSInfer's models do.
    """
    from wsi_seg.models.lookup import resolve_model

    path = resolve_model(model)
    from wsi_seg.models import model_export  # only now, as PyTorch takes seconds to import
    from wsi_seg.models.bundle import load_bundle

    suffix = model_export.SUFFIXES[form.value]
    if output.suffix != suffix:
        raise UsageError(f"{output}: not a name for {form.value} files: it must end in {suffix}")
    bundle = load_bundle(path)
    multiple = bundle.architecture.config.multiple
    if patch < multiple or patch % multiple:
        raise UsageError(f"--patch {patch}: use a multiple of {multiple}")
    config = model_export.config_beside(output)
    differs = config.exists() and config.read_bytes() != model_export.description(bundle, patch).encode()
    for written, is_there in ((output, output.exists()), (config, differs)):
        if is_there and not overwrite:
            raise UsageError(
                f"{written}: already exists: give --overwrite to replace it, or another --output"
            )
    signals.working()
    exported = model_export.export_model(bundle, output, form.value, patch)
    same = f"within {exported.difference:.0e} of the largest" if exported.difference else "the same"
    say(f"{output}: {network_in_words(bundle.header)}, logits {same}")
    if exported.config is None:
        say("  no .config.json, which needs um/px: this model has no fixed resolution")
    if bundle.notice:
        say(f"  {bundle.notice}")


def _summary(bundle: ModelBundle) -> dict[str, str]:
    """Collect the lines that `show` prints above the classes, by heading."""
    from wsi_seg.models.cost import PAPER_SIZE, count_macs
    from wsi_seg.models.onnx.onnx_network import OnnxNet

    spec, (height, width) = bundle.input, PAPER_SIZE
    macs = "not counted, as it is in ONNX"
    if not isinstance(bundle.network, OnnxNet):
        billions = count_macs(bundle.network, height, width) / 1e9
        macs = f"{billions:.3g} billion multiply-accumulates for {width} x {height} pixels"
    divisor = "" if spec.scale == 1 else f" / {spec.scale:g}"
    return {
        "File": str(bundle.path),
        "Fingerprint": bundle.fingerprint,
        "Network": f"{network_in_words(bundle.header)} ({bundle.architecture.config.shape})",
        "Parameters": _parameters_in_words(bundle.network),
        "Computes": macs,
        "Input": f"{spec.channels.upper()}, (pixel - mean) / std{divisor}",
        "Mean": ", ".join(f"{value:g}" for value in spec.mean),
        "Std": ", ".join(f"{value:g}" for value in spec.std),
        "Works at": _works_at(spec),
        "Remembers": _remembered(bundle.tissue),
    }


def _remembered(tissue: RememberedTissue | None) -> str:
    if tissue is None:
        return "no training tissue"
    return f"what {counted(tissue.patches, 'patches')} of its training tissue looked like"


def _class_table(schema: ClassSchema) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Id", justify="right")
    for column in ("Colour", "Name", ""):
        table.add_column(column, overflow="fold")
    for c in schema.classes:
        red, green, blue = c.color
        swatch = Text.assemble(("██", f"rgb({red},{green},{blue})"), f" {red}, {green}, {blue}")
        notes = ["background"] if c.name == schema.background else []
        notes += [f"also {', '.join(c.aliases)}"] if c.aliases else []
        table.add_row(str(c.id), swatch, _plain(c.name), _plain("; ".join(notes)))
    return table


def _flattened(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Flatten nested provenance: ``{"data": {"name": "x"}}`` becomes ``{"data.name": "x"}``."""
    flat: dict[str, str] = {}
    for key, item in value.items():
        if isinstance(item, dict) and item:
            flat |= _flattened(item, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
    return flat


def _facts(facts: Mapping[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for heading, fact in facts.items():
        table.add_row(_plain(heading), _plain(fact))
    return table


def _plain(text: str, style: str = "") -> Text:
    return Text(printable(text), style=style)


def _indented(table: Table) -> Padding:
    return Padding(table, (0, 0, 1, 2))


def _print(*parts: Text | Padding) -> None:
    for part in parts:
        Console(highlight=False).print(part, soft_wrap=isinstance(part, Text))


def _works_at(spec: InputSpec) -> str:
    places = [f"{spec.mpp:g} um/px"] if spec.mpp else []
    places += [f"{spec.size[0]} x {spec.size[1]} px"] if spec.size else []
    return ", ".join(places) or "any size"


def _parameters(network: Network) -> int:
    from wsi_seg.models.onnx.onnx_network import OnnxNet

    if isinstance(network, OnnxNet):
        return network.config.weights
    return sum(p.numel() for p in network.parameters())


def _parameters_in_words(network: Network) -> str:
    from wsi_seg.models.biopsy import count_unused

    used, unused = _parameters(network), count_unused(network)
    if not unused:
        return f"{used:,}"
    return f"{used:,}; the authors' network has {used + unused:,}, but never uses {unused:,} of them"
