"""How good a network do a few minutes give, from a few outlines?

    python benchmarks/training.py SLIDE ANNOTATIONS --rest CLASS [--lesion NAME ...] [--minutes 2 5 10 20]

Trains with the recipe `quick` for each time given, all on the same split, and with a plain loop's settings
beside it: from random weights, patches of 256 px, flips and brightness, Adam, no averaging. IoU is that on
the blocks kept out; "lesion" is all classes named with --lesion against the rest.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import keep

from wsi_seg.evaluation.metrics import Confusion

PLAIN = {
    "augment.scale": [1, 1],
    "augment.stain": 0,
    "augment.stain_residual": 0,
    "augment.stain_shift": 0,
    "augment.brightness": 0.2,
    "augment.contrast": 0.2,
    "augment.saturation": 0,
    "augment.hue": 0,
    "augment.blurred": 0,
    "augment.noisy": 0,
    "augment.cut_off": 0,
    "data.patch": 256,
    "training.batch_size": 8,
    "optimiser.name": "adam",
    "optimiser.learning_rate": 1e-3,
    "optimiser.weight_decay": 0,
    "optimiser.warmup_steps": 0,
    "optimiser.clip_norm": None,
    "training.averaging": None,
    "training.batch_parts": 1,
    "training.early_stop": None,
    "training.init": None,
    "training.precision": "float32",
    "loss.dice": 0,
}
"""The recipe's values that make it a plain loop; the rate still falls along a cosine."""


def train(arguments: argparse.Namespace, minutes: float, settings: dict[str, Any], folder: Path) -> list[str]:
    """Train once, and return a table row."""
    out = folder / "training"
    command = [sys.executable, "-m", "wsi_seg", "train", arguments.slide, arguments.annotations]
    command += ["--rest", arguments.rest, "-o", str(out), "--overwrite", "--quiet", "--minutes", str(minutes)]
    for name, value in settings.items():
        command += ["--set", f"{name}={json.dumps(value)}"]
    begin = time.monotonic()
    subprocess.run(command, check=True)
    whole = time.monotonic() - begin
    report = json.loads((out / "report" / "report.json").read_text())
    confusion = Confusion(np.pad(np.array(report["confusion"]), ((0, 0), (0, 1))))
    names = [c["name"] for c in report["scores"]["classes"]]
    lesion = [i for i, name in enumerate(names) if name in arguments.lesion]
    rest = [i for i in range(len(names)) if i not in lesion]
    iou = float(confusion.merged([lesion, rest]).iou[0])
    history = report["history"]
    curve = " ".join(f"{row['val_miou']:.2f}" for row in history if row["val_miou"] is not None)
    kind = "plain loop" if settings else "quick"
    classes = " / ".join(f"{value:.3f}" for value in confusion.iou)
    return [
        kind,
        f"{minutes:g}",
        f"{history[-1]['step']}",
        f"{whole / 60:.1f}",
        f"{iou:.3f}",
        f"{confusion.mean_iou:.3f}",
        classes,
        curve,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("slide")
    parser.add_argument("annotations")
    parser.add_argument("--rest", required=True)
    parser.add_argument("--lesion", nargs="+", default=["Carcinoma in situ", "Invasive carcinoma"])
    parser.add_argument("--minutes", nargs="*", type=float, default=[2, 5, 10, 20])
    parser.add_argument("--plain", nargs="*", type=float, default=[7])
    parser.add_argument("--result", default="training", help="Name of the result file.")
    arguments = parser.parse_args()
    head = [
        "recipe",
        "minutes",
        "steps",
        "with start and report",
        "lesion IoU",
        "mIoU",
        "IoU by class",
        "mIoU on the way",
    ]
    rows = [head, ["---"] * len(head)]
    with tempfile.TemporaryDirectory() as folder:
        runs: list[tuple[float, dict[str, Any]]] = [(m, {}) for m in arguments.minutes]
        runs += [(m, PLAIN) for m in arguments.plain]
        for minutes, settings in runs:
            rows.append(train(arguments, minutes, settings, Path(folder)))
            print(*rows[-1], flush=True)
        report = json.loads((Path(folder) / "training" / "report" / "report.json").read_text())
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    split = report["facts"]["split"]
    keep(arguments.result, f"{Path(arguments.slide).name}, --rest {arguments.rest!r}; {split}.\n\n{table}")


if __name__ == "__main__":
    main()
