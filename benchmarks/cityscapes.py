"""Do the released street networks and our metrics give the figures that they should?

    python benchmarks/cityscapes.py CITYSCAPES CHECKPOINT... [--split val] [--device auto]

CITYSCAPES is the data set's folder, each CHECKPOINT one of the ESPNet authors' (.pth). Each is evaluated as
`wsi-seg evaluate` does, and what `--submission` writes is scored by cityscapesscripts, the reference.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from machine import keep
from PIL import Image

from wsi_seg.data.dataset import Dataset, read_dataset
from wsi_seg.evaluation.benchmarks import open_submission
from wsi_seg.evaluation.evaluation import Evaluation
from wsi_seg.evaluation.on_images import evaluate_images
from wsi_seg.inference.network.devices import choose_device
from wsi_seg.inference.network.segmenter import Segmenter
from wsi_seg.models.bundle import load_bundle, save_bundle
from wsi_seg.models.classes import load_schema
from wsi_seg.models.upstream import import_checkpoint
from wsi_seg.paper.streets.cityscapes_scores import CityscapesFigures, average

AUTHORS = {"decoder/espnet_p_2_q_8.pth": (0.9603, 0.6607)}
"""Pixel accuracy, and mean IoU over the classes in the truth, by the authors' own code on one image."""

AUTHORS_IMAGE = "frankfurt_000000_000576_leftImg8bit"


def evaluate(dataset: Dataset, checkpoint: Path, folder: Path, device: str) -> Evaluation:
    """Import a checkpoint, and evaluate it; its labels go to `folder`."""
    network, header = import_checkpoint(checkpoint, load_schema("cityscapes"))
    save_bundle(folder / "model.safetensors", network, header)
    bundle = load_bundle(folder / "model.safetensors")
    submission = open_submission(dataset.kind, folder, dataset.schema)
    return evaluate_images(dataset, bundle, Segmenter(bundle, choose_device(device)), submission=submission)


def reference(dataset: Dataset, folder: Path) -> dict[str, Any]:
    """Let cityscapesscripts score the labels in `folder`."""
    truths, predictions = [], []
    for source in dataset.sources:
        assert source.instances is not None
        name = source.name.removesuffix("_leftImg8bit")
        instances = np.asarray(Image.open(source.instances), dtype=np.int32)
        truth = folder / f"{name}_gtFine_labelIds.png"
        Image.fromarray(np.where(instances >= 1000, instances // 1000, instances).astype(np.uint8)).save(
            truth
        )
        (folder / f"{name}_gtFine_instanceIds.png").symlink_to(source.instances.resolve())
        truths.append(str(truth))
        predictions.append(str(folder / f"{name}_labelIds.png"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not hasattr(np, "in1d"):  # cityscapesscripts 2.3 calls it, numpy 2.4 has it no more
            np.in1d = np.isin  # type: ignore[attr-defined]  # noqa: NPY201
        from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as script  # noqa: N813

        script.args.quiet, script.args.JSONOutput = True, False
        result: dict[str, Any] = script.evaluateImgLists(predictions, truths, script.args)
    return result


def compared(evaluation: Evaluation, theirs: dict[str, Any]) -> tuple[list[str], float]:
    """Give the four means, ours and theirs, and the largest difference of any score behind them."""
    streets = evaluation.benchmark
    assert isinstance(streets, CityscapesFigures)
    means, differences = [], []
    for ours, key, mean_key in (
        (streets.class_iou, "classScores", "averageScoreClasses"),
        (streets.class_iiou, "classInstScores", "averageScoreInstClasses"),
        (streets.category_iou, "categoryScores", "averageScoreCategories"),
        (streets.category_iiou, "categoryInstScores", "averageScoreInstCategories"),
    ):
        means.append(f"{average(ours):.6f} / {theirs[mean_key]:.6f}")
        scored = {name: value for name, value in theirs[key].items() if not np.isnan(value)}
        assert scored.keys() == {name for name, value in ours.items() if not np.isnan(value)}
        differences += [abs(ours[name] - value) for name, value in scored.items()]
    return means, max(differences)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("cityscapes", type=Path)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--split", default="val")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    dataset = read_dataset(args.cityscapes, args.split)
    names = [source.name for source in dataset.sources]
    lines = [
        "| checkpoint | pixel accuracy | mean IoU, classes in the truth | mean IoU | mean iIoU "
        "| mean category IoU | mean category iIoU | largest difference of any score |",
        "|--" * 8 + "|",
    ]
    for checkpoint in args.checkpoints:
        with tempfile.TemporaryDirectory() as folder:
            evaluation = evaluate(dataset, checkpoint, Path(folder), args.device)
            means, difference = compared(evaluation, reference(dataset, Path(folder)))
        confusion = evaluation.total.confusion
        own = AUTHORS.get(f"{checkpoint.parent.name}/{checkpoint.name}") if names == [AUTHORS_IMAGE] else None
        first = [
            f"{figure:.4f}" + (f" ({theirs:.4f})" if theirs else "")
            for figure, theirs in zip(
                (confusion.pixel_accuracy, confusion.mean_iou), own or (None, None), strict=True
            )
        ]
        cells = [f"{checkpoint.parent.name}/{checkpoint.name}", *first, *means, f"{difference:.0e}"]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    shown = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
    keep(
        "cityscapes",
        f"Split {args.split}: {len(names)} image(s) ({shown}). Logits are enlarged bilinearly to full size "
        "before the best class is taken. In brackets: the authors' own code. With a stroke: wsi-seg / "
        "cityscapesscripts; these means are over all classes, or categories, that are in the truth or were "
        "found.\n\n" + "\n".join(lines),
    )


if __name__ == "__main__":
    main()
