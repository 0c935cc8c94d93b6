"""Make the files of this folder, by the wsi-seg of then: see README.md.

PYTHONPATH names a checkout of that commit; its modules are called as they were called there.
"""

from __future__ import annotations

import importlib
import json
import lzma
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import tifffile
import torch

SIDE = 256
STRIPE = 64
COLOURS = ((225, 150, 200), (110, 60, 150))
NAMES = ("Stroma", "Tumour")


EARLIER = {
    "models.espnet_config": ("models.espnet",),
    "models.header": ("models.bundle",),
    "predict.batch": ("batch",),
    "predict.predict_slide": ("predict.run", "predict"),
    "results.summary": ("outputs.summary",),
    "settings": ("config",),
    "training.data.open_data": ("training.data.gathering", "training.data"),
    "training.train_model": ("training.run",),
}
"""Where modules were at earlier commits, the later first."""


def of_then(module: str) -> Any:
    """A module of the checkout, by its name of today."""
    package = Path(importlib.import_module("wsi_seg").__file__ or "").parent
    names = (module, *EARLIER.get(module, ()))
    there = (n for n in names if package.joinpath(*n.split(".")).with_suffix(".py").exists())
    return importlib.import_module(f"wsi_seg.{next(there, names[-1])}")


def write_slide(path: Path) -> None:
    """A slide of upright stripes at 2 um per pixel: 256 x 256 px, whose noise recurs, to compress well."""
    stripes = np.array(COLOURS)[(np.arange(SIDE) // STRIPE) % 2]
    noise = np.tile(np.random.default_rng(0).integers(0, 2, (16, 16, 3)), (SIDE // 16, SIDE // 16, 1))
    rgb = np.clip(stripes + noise, 0, 255).astype(np.uint8)
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        tiff.write(
            rgb,
            tile=(128, 128),
            photometric="rgb",
            compression="deflate",
            resolution=(5000, 5000),
            resolutionunit="CENTIMETER",
            metadata=None,
        )


def write_outlines(path: Path) -> None:
    """Outlines of bits of each stripe."""
    features = [
        {
            "type": "Feature",
            "geometry": shapely.geometry.mapping(shapely.box(x + 4, y + 4, x + STRIPE - 4, y + 60)),
            "properties": {"classification": {"name": NAMES[x // STRIPE % 2]}},
        }
        for x in range(0, SIDE, STRIPE)
        for y in range(0, SIDE, 64)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def write_model(path: Path) -> None:
    """A model whose few different weights compress well: untrained, and mostly zeros."""
    bundle, classes, espnet = of_then("models.bundle"), of_then("models.classes"), of_then("models.espnet")
    headers, configs = of_then("models.header"), of_then("models.espnet_config")
    schema = classes.ClassSchema(
        name="stripes",
        classes=tuple(
            classes.TissueClass(id=i, name=name, color=color)
            for i, (name, color) in enumerate(zip(NAMES, COLOURS, strict=True))
        ),
    )
    config = configs.ESPNetConfig(classes=2, p=1, q=1, variant="C")
    network = espnet.ESPNet(config)
    drawn = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                signs = torch.randint(-1, 2, parameter.shape, generator=drawn)
                kept = torch.rand(parameter.shape, generator=drawn) < 0.05
                parameter.copy_(signs * kept * 0.5)
    header = headers.ModelHeader(
        name="golden",
        architecture=of_then("models.architecture").architecture_of(config),
        classes=schema,
        input=headers.InputSpec(channels="rgb", mean=(170, 110, 170), std=(50, 50, 40), mpp=2.0),
    )
    bundle.save_bundle(path, network, header)


class StoppedError(Exception):
    """Ends a run, as a kill would."""


def settings(model: Path) -> Any:
    config = of_then("settings")
    labels = config.LabelSettings(patch=128, overlap=64, region_cores=2, compile="no")
    return config.PredictSettings(model=str(model), labels=labels, run=config.RunSettings(workers=1))


def stopping(base: type, after: int) -> Any:
    """A listener that ends a run or a training when it has heard so often of how it goes."""

    class Stopping(base):  # type: ignore[misc]
        heard = 0

        def advance(self, *_: object) -> None:
            self.heard += 1
            if self.heard == after:
                raise StoppedError

    return Stopping()


def segment(folder: Path) -> None:
    """A result that is finished, and one that was stopped after two of its regions."""
    predict, progress = of_then("predict.predict_slide"), of_then("progress")
    slide, model = folder / "slide.tiff", folder / "model.safetensors"
    predict.predict_slide(slide, folder / "finished", settings(model), command="wsi-seg predict slide.tiff")
    try:
        predict.predict_slide(slide, folder / "unfinished", settings(model), stopping(progress.Progress, 2))
    except StoppedError:
        return
    raise AssertionError("was not stopped")


def train(folder: Path) -> None:
    """A training that was stopped; its rate is so small that its weights stay those that compress well."""
    recipe_of, data = of_then("training.recipe"), of_then("training.data.open_data")
    chosen = [
        "model.p=1", "model.q=1", "data.patch=64", "data.cache_mb=64", "data.validation=none",
        "training.batch_size=1", "training.batch_parts=1", "training.averaging=null", "training.epochs=2",
        "training.epoch_steps=2", "training.precision=float32", "training.stages=[encoder]",
        "optimiser.name=sgd", "optimiser.momentum=0", "optimiser.weight_decay=0",
        "optimiser.learning_rate=1e-45", "optimiser.warmup_steps=0",
    ]  # fmt: skip
    recipe = recipe_of.override(
        recipe_of.Recipe(training=recipe_of.TrainingRecipe(epochs=1)),
        chosen,
    )
    request = of_then("training.request").TrainRequest(
        data.DataRequest((folder / "slide.tiff", folder / "outlines.geojson"), working_mpp=2.0),
        recipe,
        folder / "training",
        init=str(folder / "model.safetensors"),
        device="cpu",
    )
    (folder / "recipe.txt").write_text("\n".join(chosen) + "\n")
    try:
        of_then("training.train_model").train(request, stopping(of_then("progress").TrainingProgress, 4))
    except StoppedError:
        return
    raise AssertionError("was not stopped")


def gather(folder: Path) -> None:
    """Tiles, and the record of a batch."""
    subprocess.run(
        f"{sys.executable} -m wsi_seg tiles slide.tiff outlines.geojson -o tiles --size 64".split(),
        cwd=folder,
        check=True,
    )
    batch, summary = of_then("predict.batch"), of_then("results.summary")
    done = batch.Outcome(
        slide=str(folder / "slide.tiff"), result=str(folder / "finished"), status=summary.Status.FINISHED
    )
    waiting = (str(folder / "other.tiff"),)
    batch.BatchSummary(outcomes=(done,), waiting=waiting).write(folder / "batch.json")


def pack(folder: Path, target: Path) -> None:
    """All of it, in an order and with times that do not change, but for what is large and no document."""
    with (
        lzma.open(target, "wb", preset=9 | lzma.PRESET_EXTREME) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name not in {"lock", "overview.png"} and "tfevents" not in path.name:
                entry = tar.gettarinfo(path, path.relative_to(folder).as_posix())
                entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, 0, "", ""
                with path.open("rb") as file:
                    tar.addfile(entry, file)


def main() -> None:
    torch.set_num_threads(1)
    folder = Path("/tmp/golden")  # the paths that documents name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    write_slide(folder / "slide.tiff")
    write_outlines(folder / "outlines.geojson")
    write_model(folder / "model.safetensors")
    segment(folder)
    train(folder)
    gather(folder)
    pack(folder, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
