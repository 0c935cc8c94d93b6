"""Write beside the demo model what its training tissue looked like: ``python -m wsi_seg.demo.remember``.

The model file itself stays as it is, byte for byte: results name it by its digest.
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads it at run time
from typing import Annotated

import typer

from wsi_seg.demo.fields import FIELD_MPP, draw_field
from wsi_seg.demo.train_demo import NAME, Recipe
from wsi_seg.files.files import write_text
from wsi_seg.inference.tissue.patch_looks import SIDE, Looks
from wsi_seg.inference.tissue.sight import sight_by_pytorch
from wsi_seg.models.bundle import load_bundle
from wsi_seg.models.lookup import WEIGHTS_FOLDER
from wsi_seg.models.remembered import BESIDE, RememberedTissue

FIELDS = 96


def remember(path: Path, seed: int, fields: int = FIELDS) -> RememberedTissue:
    """Look at a patch of each of the first slides that the demo model was trained on.

    Parameters
    ----------
    path : Path
        The model file.
    seed : int
        Of its recipe.
    fields : int
        How many slides.
    """
    bundle = load_bundle(path)
    patches = (draw_field(seed * 10_000 + i, SIDE)[0] for i in range(fields))
    looks = Looks.at(patches, sight_by_pytorch(bundle.network, bundle.input))
    assert looks is not None  # there are fields
    return looks.remembered(FIELD_MPP).model_copy(update={"model": bundle.fingerprint})


def main(
    model: Annotated[Path, typer.Argument(help="The model file.")] = WEIGHTS_FOLDER / f"{NAME}.safetensors",
    seed: Annotated[int, typer.Option(help="Of the recipe that the model was trained by.")] = Recipe.seed,
) -> None:
    """Write what the demo model remembers."""
    beside = model.with_name(model.stem + BESIDE)
    beside.unlink(missing_ok=True)  # of another model, it would be refused
    write_text(beside, remember(model, seed).model_dump_json() + "\n")


if __name__ == "__main__":
    typer.run(main)
