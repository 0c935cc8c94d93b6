"""What is killed over, and what is damaged: slides, a model, outlines, pictures; small, always the same."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from .dicom import write_dicom
from .outlines import write_outlines

MPP = 2.0
KILLED = (576, 640)
"""Height and width of the slide that runs are killed over: twelve regions."""

DAMAGED = (320, 384)
"""Height and width of the slides that are damaged: six regions."""

TILE = 128
GLASS = 48
"""Columns on the right without tissue."""

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Inputs:
    """Where everything lies, in one folder.

    Attributes
    ----------
    folder : Path
    """

    folder: Path

    @property
    def slide(self) -> Path:
        """The slide that runs are killed over."""
        return self.folder / "slide.tiff"

    @property
    def model(self) -> Path:
        """A copy of the built-in model."""
        return self.folder / "model.safetensors"

    @property
    def picture_model(self) -> Path:
        """The same for plain pictures."""
        return self.folder / "pictures.safetensors"

    @property
    def slides(self) -> dict[str, Path]:
        """The slides that are damaged, by format: a file, or the folder of several."""
        names = {
            "BigTIFF, deflate": "big.tiff",
            "TIFF, JPEG": "jpeg.tif",
            "Aperio SVS": "aperio.svs",
            "OME-TIFF": "planes.ome.tiff",
            "DICOM": "dicom",
        }
        return {kind: self.folder / "slides" / name for kind, name in names.items()}

    @property
    def annotations(self) -> dict[str, Path]:
        """Outlines on the slide that runs are killed over, by format."""
        names: dict[str, str] = json.loads((self.folder / "annotations.json").read_text())
        return {kind: self.folder / name for kind, name in names.items()}

    @property
    def pictures(self) -> dict[str, Path]:
        """Plain pictures, by format."""
        return {
            kind: self.folder / f"picture.{suffix}"
            for kind, suffix in (("PNG", "png"), ("JPEG", "jpg"), ("TIFF", "tif"))
        }

    @property
    def dataset(self) -> Path:
        """A folder of images with masks."""
        return self.folder / "dataset"


def make(folder: Path) -> Inputs:
    """Make everything in a folder, anew."""
    from wsi_seg.demo.generated_slide import tissue_block
    from wsi_seg.models.lookup import builtin_models

    shutil.rmtree(folder, ignore_errors=True)
    (folder / "slides").mkdir(parents=True)
    inputs = Inputs(folder)
    block = tissue_block(1, MPP)
    height, width = KILLED
    write_tiff(inputs.slide, glazed(block[:height, :width]), compression="deflate")
    shutil.copy(builtin_models()["breast-demo"], inputs.model)
    write_picture_model(inputs)
    files = write_outlines(folder, width - GLASS, height)
    (folder / "annotations.json").write_text(json.dumps({kind: file.name for kind, file in files.items()}))
    write_slides(inputs, glazed(block[-DAMAGED[0] :, -DAMAGED[1] :]))
    for number, path in enumerate(inputs.pictures.values()):
        Image.fromarray(block[100 * number :][:160, :192]).save(path)
    write_dataset(inputs.dataset, block)
    return inputs


def glazed(rgb: Picture) -> Picture:
    """Return a copy with glass on the right."""
    copy = rgb.copy()
    copy[:, -GLASS:] = 243
    return copy


def write_slides(inputs: Inputs, rgb: Picture) -> None:
    """Write one picture as a slide in each of the formats."""
    slides = inputs.slides
    write_tiff(slides["BigTIFF, deflate"], rgb, levels=2, bigtiff=True, compression="deflate")
    write_tiff(slides["TIFF, JPEG"], rgb, levels=2, compression="jpeg")
    height, width = rgb.shape[:2]
    said = f"Aperio Image Library v12.0.15\r\n{width}x{height} [0,0 {width}x{height}] (128x128) JPEG/RGB Q=80"
    write_tiff(slides["Aperio SVS"], rgb, compression="jpeg", description=f"{said}|AppMag = 5|MPP = {MPP}")
    planes = np.ascontiguousarray(np.moveaxis(rgb, 2, 0))
    with tifffile.TiffWriter(slides["OME-TIFF"], ome=True) as tiff:
        tiff.write(
            planes,
            tile=(TILE, TILE),
            photometric="minisblack",
            compression="deflate",
            resolution=(1e4 / MPP, 1e4 / MPP),
            resolutionunit="CENTIMETER",
            metadata={"axes": "CYX", "Channel": {"Name": ["Red", "Green", "Blue"]}},
        )
    slides["DICOM"].mkdir()
    write_dicom(slides["DICOM"] / "level-0.dcm", rgb, MPP)


def write_tiff(
    path: Path,
    rgb: Picture,
    compression: str,
    levels: int = 1,
    bigtiff: bool = False,
    description: str | None = None,
) -> None:
    """Write a tiled TIFF, each level half the size of the one before."""
    with tifffile.TiffWriter(path, bigtiff=bigtiff) as tiff:
        for level in range(levels):
            dots = 1e4 / MPP / 2**level
            more: dict[str, Any] = {} if level else {"description": description}
            tiff.write(
                np.asarray(Image.fromarray(rgb).reduce(2**level)),
                tile=(TILE, TILE),
                photometric="rgb",
                compression=compression,
                compressionargs={"level": 90 if compression == "jpeg" else 6},
                subfiletype=1 if level else 0,
                resolution=(dots, dots),
                resolutionunit="CENTIMETER",
                metadata=None,
                **more,
            )


def write_picture_model(inputs: Inputs) -> None:
    """Write the model again, as one of pictures: without a working resolution."""
    from wsi_seg.models.bundle import load_bundle, save_bundle

    bundle = load_bundle(inputs.model)
    header = bundle.header.model_copy(update={"input": bundle.input.model_copy(update={"mpp": None})})
    save_bundle(inputs.picture_model, bundle.network, header)


def write_dataset(folder: Path, block: Picture) -> None:
    """Write images and masks of two classes, dark and bright, and their schema."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number in range(5):
        rgb = block[128 * number :][:128, :160]
        dark = np.asarray(Image.fromarray(rgb).convert("L").reduce(8)) < 150
        suffix = "jpg" if number == 1 else "tif" if number == 2 else "png"
        Image.fromarray(rgb).save(folder / "images" / f"{number}.{suffix}")
        mask = np.kron(dark, np.ones((8, 8))).astype(np.uint8) * 2
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    (folder / "classes.yaml").write_text(
        "name: two\nclasses:\n"
        "  - {id: 0, name: Normal stroma, color: [255, 150, 255]}\n"
        "  - {id: 2, name: Malignant epithelium, color: [0, 0, 130]}\n"
    )
