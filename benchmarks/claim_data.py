"""What `claim.py` trains and scores on: CamVid, an annotated slide by halves, and generated tissue."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from claim_plan import DataName
from PIL import Image

from wsi_seg.demo.fields import stream_fields
from wsi_seg.demo.train_demo import VALIDATION_SEED

TISSUE = "breast-biopsy"
SIDE = 384
FIELDS = {"train": (70_000_000, 160), "val": (VALIDATION_SEED * 80, 48)}
"""Seed of the first slide, and how many. A field is of a slide, and a stain, of its own."""


@dataclass(frozen=True)
class Data:
    """A set to train and to score on.

    Attributes
    ----------
    name : {"streets", "tissue", "generated"}
    train : tuple of str
        Arguments of `wsi-seg train`: the data, and how they are read.
    score : tuple of str
        Arguments of `wsi-seg evaluate`, likewise; empty if the training's own kept-out part is the score.
    """

    name: DataName
    train: tuple[str, ...]
    score: tuple[str, ...]


def data_sets(camvid: Path, slide: Path, outlines: Path, folder: Path) -> list[Data]:
    """Return the three sets; generated tissue is written into `folder` once."""
    tiles = str(generated(folder))
    return [
        Data("streets", (str(camvid), "--pipeline", "camvid"), (str(camvid), "--split", "val")),
        Data("tissue", (str(slide), str(outlines), "--rest", "Other tissue", "--working-mpp", "1.87"), ()),
        Data(
            "generated",
            (tiles, "--set", f"data.classes={TISSUE}"),
            (tiles, "--classes", TISSUE, "--split", "val"),
        ),
    ]


def generated(folder: Path) -> Path:
    """Write fields of generated tissue as images and masks, unless they are there."""
    done = folder / "done"
    if done.exists():
        return folder
    for split, (seed, count) in FIELDS.items():
        for kind in ("", "annot"):
            (folder / f"{split}{kind}").mkdir(parents=True, exist_ok=True)
        for number, (rgb, ids) in enumerate(stream_fields(seed, count, SIDE)):
            Image.fromarray(rgb).save(folder / split / f"{number:03}.png")
            Image.fromarray(ids).save(folder / f"{split}annot" / f"{number:03}.png")
    done.touch()
    return folder
