"""ONNX networks of others, from import to polygons, beside ONNX Runtime alone and their own program.

    python benchmarks/onnx_import.py SLIDE [--folder FOLDER] [--steps 120]

SLIDE is stained with H&E. Two networks are fetched from the package index and are not shipped: a U-Net with a
ResNet-18 of segmentation_models_pytorch, trained for some minutes on generated tissue, and the network that
lavlab-shell ships, once as it is and once with the slide's stain separation in front of it. Each is imported,
segments the demo slide or SLIDE, and its polygons are checked. All that is timed runs on one core, in turn.
FOLDER keeps packages, networks and results; what is there is not made again, but timed runs are.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_networks as networks
import tifffile
from machine import keep

from wsi_seg.models.bundle import ModelBundle, load_bundle
from wsi_seg.models.onnx.onnx_config import OnnxConfig
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.labels.read_labels import LabelPyramid, read_labels
from wsi_seg.slides.lattice import Rect

HERE = Path(__file__).resolve().parent
WSI_SEG = [sys.executable, "-m", "wsi_seg"]
SHELL_SCHEMA = """\
name: lavlab-shell
background: Background
classes:
  - {id: 1, name: Epithelium, color: [130, 0, 130]}
  - {id: 2, name: Stroma, color: [255, 150, 255]}
  - {id: 0, name: Background, color: [255, 255, 255]}
"""

EXPLANATION = """\
Networks of others as ONNX files, from `models import` to polygons. "Import" is the whole command, start and
measurement of the reach included. "ONNX Runtime alone" runs the same file over as many patches of the same
side, pixels in memory, one after the other, and takes the best channel: no slide, no polygons. All of it runs
on one core. `wsi-seg check` takes every polygon file.

The U-Net is segmentation_models_pytorch's, with a ResNet-18, trained for {steps} steps on generated tissue;
its mean IoU is against the truth of the demo slide. Agreement is with the classes that lavlab-shell's own
command gives for the same slide by `--save-raw`: before its clean-up, but within its tissue mask.

**lavlab-shell's network does not take RGB.** It was trained on eosin, haematoxylin and optical density, which
its program computes from each slide: stain vectors by Macenko's method, percentiles of the whole slide, the
extremes of each tile. `models import` takes the file and cannot know that; `--channels` orders red, green and
blue, and is no help. **On RGB its labels mean nothing**: the line "RGB" is there to show it. The line "stain
separation in front" is the same network with that computation before it and its decision (a probability above
a half, epithelium before stroma) behind it, in operators of ONNX, with the numbers of this one slide; another
slide needs a file of its own.

Its reach has no bound: a pixel's class depends on what else the tile holds. Moved down and right by a
quarter, its tiles keep the class of {moved} of the pixels that they share, by its program's own functions.
On equal tiles "stain separation in front" gives its program's classes ({alike} of the pixels of {tiles}
tiles). Why they differ on the slide stands below.\
"""

CAUSES = """\
Why lavlab-shell's own command gives other classes for {slide} (`onnx_shell.py`). The largest cause is its
tissue mask: the command takes what lies outside of it for background, also in what it calls raw, while the
network finds classes there, and these runs are without a mask. Each line does one thing more as the command
does it. What is left in the last line is not explained.

| as the command does it, too | alike | alike, with its tissue mask |
|--|--|--|
{rows}\
"""

STEPS = {
    "nothing": "nothing: `Model.segment` on the slide's pixels, patches of 1024 px with halos of 96 px",
    "pixels": "pixels: reduced from level 0 by Lanczos, not from level 2 by area",
    "windows and tiles": "windows of 1024 px, overlapping by half, of tiles of 2048 px; the nearest counts",
    "extremes of tiles": "the stains are scaled by the extremes of a tile of 2048 px, not of a window",
    "blended windows": "scores of a tile's windows are blended with Gaussian weights",
    "classes of all tiles": "where tiles overlap, the class that any of them gives, epithelium first",
}

HEAD = (
    *("network", "weights", "import s", "reach px", "stride", "patches"),
    *("predict s", "ONNX Runtime alone s", "ratio", "labels"),
)


@dataclass(frozen=True)
class Case:
    """A network, what it is imported as, and the slide that it segments."""

    name: str
    onnx: Path
    options: tuple[str, ...]
    slide: Path


@dataclass(frozen=True)
class Outcome:
    """What came of a case."""

    config: OnnxConfig
    imported: float
    predicted: float
    alone: float
    patches: int
    patch: int
    halo: int
    result: Path


def on_one_core(command: list[str], path: Path | None = None) -> float:
    """Run a command on one core, with packages of a folder; return its wall seconds."""
    core = min(os.sched_getaffinity(0))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if path is not None:
        environment["PYTHONPATH"] = os.pathsep.join([str(path), environment.get("PYTHONPATH", "")])
    begin = time.perf_counter()
    subprocess.run(command, check=True, env=environment, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    return time.perf_counter() - begin


def make(name: str, out: Path, *arguments: str, package: Path) -> Path:
    """Make a network in a process that has its packages, unless it is there."""
    if not out.exists():
        command = [sys.executable, str(HERE / "onnx_networks.py"), name, *arguments]
        path = os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")])
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": path})
    return out


def try_out(case: Case, folder: Path) -> Outcome:
    """Import a network, segment its slide, check the polygons, and run the network alone."""
    name = case.name.replace(" ", "-").replace(",", "")
    model, out = folder / f"{name}.safetensors", folder / "results" / name
    result = out / case.slide.stem
    command = [*WSI_SEG, "models", "import", str(case.onnx), *case.options, "-o", str(model), "--overwrite"]
    imported = on_one_core(command)
    command = [*WSI_SEG, "predict", str(case.slide), "--model", str(model), "--workers", "1"]
    predicted = on_one_core([*command, "--device", "cpu", "--no-tissue-mask", "-o", str(out), "--overwrite"])
    subprocess.run([*WSI_SEG, "check", str(result / "slide.geojson.gz")], check=True)
    bundle = load_bundle(model)
    config = bundle.network.config
    assert isinstance(config, OnnxConfig)
    summary = json.loads((result / "summary.json").read_text())
    record = ResultFolder(result).read_record()
    assert record is not None
    patches, patch, overlap = summary["patches"], record.labels["patch"], record.labels["overlap"]
    assert isinstance(patch, int)
    assert isinstance(overlap, int)
    seconds = alone(bundle, patches, patch)
    return Outcome(config, imported, predicted, seconds, patches, patch, overlap // 2, result)


def alone(bundle: ModelBundle, patches: int, side: int) -> float:
    """Return the seconds that ONNX Runtime takes over as many patches in memory, on one thread."""
    import onnxruntime

    config = bundle.network.config
    assert isinstance(config, OnnxConfig)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    data = bundle.network.state_dict()["graph"].numpy().tobytes()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(1, 3, side, side)).astype(np.float32)
    core = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(core)})
    try:
        session.run([config.output], {config.input: pixels})
        begin = time.perf_counter()
        for _ in range(patches):
            session.run([config.output], {config.input: pixels})[0].argmax(axis=1)
        return time.perf_counter() - begin
    finally:
        os.sched_setaffinity(0, core)


def agreement(result: Path, raw: Path) -> tuple[float, float]:
    """Compare labels with lavlab-shell's own: the share of pixels alike, and the mean IoU of its classes."""
    labels = read_labels(result / "slide.ome.zarr")
    ours = whole(labels)
    inner, outer, _ = np.moveaxis(tifffile.imread(raw) > 0, -1, 0)
    theirs = np.where(inner, 1, np.where(outer, 2, 0))
    rows, columns = (
        ((np.arange(n) + 0.5) * side / n).astype(int)
        for n, side in zip(ours.shape, theirs.shape, strict=True)
    )
    theirs = theirs[rows][:, columns]
    both = ours <= 2
    alike = float((ours == theirs)[both].mean())
    shares = [
        ((ours == c) & (theirs == c) & both).sum() / max(1, (((ours == c) | (theirs == c)) & both).sum())
        for c in (0, 1, 2)
    ]
    return alike, float(np.mean(shares))


def whole(labels: LabelPyramid) -> np.ndarray:
    height, width = labels.shape
    return labels.read(Rect(0, 0, height, width))


def causes(slide: Path, network: Path, model: Path, raw: Path, package: Path) -> str:
    """Say what of lavlab-shell's own command makes its classes differ."""
    out = raw.with_name("causes.json")
    files = [str(each) for each in (slide, network, model, raw, out)]
    path = os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run([sys.executable, str(HERE / "onnx_shell.py"), *files], check=True, env=environment)
    shares = json.loads(out.read_text())
    rows = "\n".join(
        f"| {what} | {shares[name][0]:.1%} | {shares[name][1]:.1%} |" for name, what in STEPS.items()
    )
    return CAUSES.format(slide=slide.name, rows=rows)


def row(name: str, outcome: Outcome, says: str) -> str:
    config = outcome.config
    reach = "whole patch" if config.reach is None else f"{config.reach}"
    cells = [
        name,
        f"{config.weights / 1e6:.1f} M",
        f"{outcome.imported:.1f}",
        reach,
        f"{config.stride}",
        f"{outcome.patches} of {outcome.patch}, halo {outcome.halo}",
        f"{outcome.predicted:.1f}",
        f"{outcome.alone:.1f}",
        f"{outcome.predicted / outcome.alone:.2f}",
        says,
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("slide", type=Path)
    parser.add_argument("--folder", type=Path, help="Where to keep what is made.")
    parser.add_argument("--steps", type=int, default=120, help="Of the U-Net's training.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        compare(arguments.slide.resolve(), folder, arguments.steps)


def compare(slide: Path, folder: Path, steps: int) -> None:
    """Try all networks, and keep the page."""
    for_unet, for_shell = (networks.fetch(name, folder / f"{name}-packages") for name in ("unet", "shell"))
    demo = folder / "demo.tiff"
    if not demo.exists():
        subprocess.run([*WSI_SEG, "demo", "slide", "-o", str(demo), "--size", "6144x4096"], check=True)
    unet, plain, stained = (folder / f"{name}.onnx" for name in ("unet", "shell", "stained"))
    make("unet", unet, str(unet), str(steps), package=for_unet)
    make("shell", plain, str(plain), package=for_shell)
    make("stained", stained, str(slide), str(plain), str(stained), package=for_shell)
    tiles = json.loads(stained.with_suffix(".same").read_text())
    schema = folder / "lavlab-shell.yaml"
    schema.write_text(SHELL_SCHEMA)

    mean, std = (",".join(str(number) for number in each) for each in (networks.MEAN, networks.STD))
    as_unet = ("--classes", "breast-biopsy", "--mpp", "2", "--range", "1", "--mean", mean, "--std", std)
    as_shell = ("--classes", str(schema), "--mpp", "2", "--range", "255", "--mean", "0,0,0", "--std")
    first = try_out(Case("unet", unet, as_unet, demo), folder)
    scored = subprocess.run(
        [*WSI_SEG, "demo", "score", str(first.result), "--truth", str(folder / "demo.truth.tiff")],
        check=True,
        capture_output=True,
        text=True,
    )
    miou = next(line.split()[2] for line in scored.stdout.splitlines() if line.startswith("mean IoU"))
    lines = [row("U-Net, ResNet-18", first, f"mean IoU {miou}")]
    raw = folder / "raw.tiff"
    command = ["-m", "shell.cli", "infer", "-i", str(slide), "-o", str(folder / "theirs.tiff")]
    own = on_one_core([sys.executable, *command, "--save-raw", str(raw), "--device", "cpu"], for_shell)
    for name, file, white in (("RGB", plain, "255,255,255"), ("stain separation in front", stained, "1,1,1")):
        outcome = try_out(Case(name, file, (*as_shell, white), slide), folder)
        share, iou = agreement(outcome.result, raw)
        lines.append(row(f"lavlab-shell, {name}", outcome, f"{share:.1%} alike, mean IoU {iou:.2f}"))
    alike, moved = f"{tiles['alike']:.2%}", f"{tiles['moved']:.1%}"
    why = causes(slide, plain, folder / "stain-separation-in-front.safetensors", raw, for_shell)
    explained = EXPLANATION.format(steps=steps, tiles=tiles["tiles"], alike=alike, moved=moved)
    table = "\n".join([f"| {' | '.join(HEAD)} |", "|--" * len(HEAD) + "|", *lines])
    keep(
        "onnx",
        f"{explained}\n\n{table}\n\n"
        f"The U-Net segments the demo slide, lavlab-shell's network {slide.name}. lavlab-shell's own command "
        f"takes {own:.1f} s for it, its clean-up included.\n\n{why}",
    )


if __name__ == "__main__":
    main()
