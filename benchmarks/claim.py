"""Is ESPNet more accurate than other networks under the same limits?

    python benchmarks/claim.py CAMVID SLIDE OUTLINES [--data streets] [--tables blocks]
        [--networks ENet ...] [--seeds 0] [--steps 600] [--minutes 120] [--folder FOLDER]

Trains each network of `claim_plan.py` on each set of `claim_data.py` by one recipe: the same steps, seeds and
order, random weights, the last weights kept. A finished row goes to ``results/claim/rows.jsonl`` with its
command, and its log beside it; nothing runs twice. After `--minutes` no new row is begun. The tables are
written anew each time, from all rows there are.
"""

from __future__ import annotations

import argparse
import json
import resource
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from claim_data import Data, data_sets
from claim_plan import CLASSES, Network, networks
from claim_tables import write_tables
from machine import RESULTS

from wsi_seg.models.bundle import load_bundle

CLAIM = RESULTS / "claim"
ROWS = CLAIM / "rows.jsonl"

COMMON = {
    "training.minutes": "null",
    "training.validations": 1,
    "training.early_stop": "null",
    "training.init": "null",
    "training.batch_parts": 1,
    "training.averaging": 0.99,
    "training.precision": "float32",
    "optimiser.name": "adamw",
    "optimiser.learning_rate": 2e-3,
    "optimiser.weight_decay": 1e-4,
    "optimiser.schedule": "cosine",
    "optimiser.warmup_steps": 50,
    "optimiser.clip_norm": 5,
}
"""Of every recipe, so that networks alone differ; what varies images is each set's own."""

BATCH = {"streets": 4, "tissue": 8, "generated": 4}
EPOCH_IMAGES = {"streets": 74}
"""Of sets whose images are taken whole: an epoch is each once. Of others it is as long as asked for."""

SIZES = {"streets": ("data.sizes=[[480,360]]",), "tissue": (), "generated": ("data.patch=384",)}

PASSES = 11


@dataclass(frozen=True)
class Trial:
    """One network on one set with one seed."""

    data: Data
    network: Network
    seed: int
    steps: int

    @property
    def key(self) -> tuple[str, str, int, int]:
        return self.data.name, self.network.title, self.seed, self.steps

    def command(self, out: Path) -> list[str]:
        """Return the command that trains it."""
        values = {
            **{f"model.{name}": value for name, value in self.network.settings},
            **COMMON,
            "training.stages": f'["{self.network.stage}"]',
            **self.length(),
            "training.batch_size": BATCH[self.data.name],
            "training.seed": self.seed,
        }
        changes = [f"{name}={value}" for name, value in values.items()] + list(SIZES[self.data.name])
        flags = [part for change in changes for part in ("--set", change)]
        return ["train", *self.data.train, *flags, "-o", str(out), "--overwrite"]

    def length(self) -> dict[str, object]:
        """Return the settings for as many steps; of whole images, for the nearest number of epochs."""
        images = EPOCH_IMAGES.get(self.data.name)
        if images is None:
            return {"training.epochs": 1, "training.epoch_steps": self.steps}
        return {"training.epochs": round(self.steps / -(-images // BATCH[self.data.name]))}


def known() -> dict[tuple[str, str, int, int], dict[str, Any]]:
    """Return the finished rows."""
    if not ROWS.exists():
        return {}
    rows = [json.loads(line) for line in ROWS.read_text().splitlines()]
    return {(row["data"], row["network"], row["seed"], row["steps"]): row for row in rows}


def run(trial: Trial, out: Path) -> dict[str, Any]:
    """Train, score and time a network."""
    log = CLAIM / "logs" / f"{'-'.join(map(str, trial.key))}.log".replace(" ", "_").replace(",", "")
    log.parent.mkdir(parents=True, exist_ok=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    command = trial.command(out)
    wsi_seg(command, log, "w")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = {
        "train_wall_s": round(time.monotonic() - began, 1),
        "train_cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
    }
    if trial.data.score:
        scores = out / "scores.json"
        wsi_seg(
            ["evaluate", str(out / "model.safetensors"), *trial.data.score, "--json", str(scores)], log, "a"
        )
        told = json.loads(scores.read_text())
    else:
        told = json.loads((out / "report" / "report.json").read_text())
    return {
        "data": trial.data.name,
        "network": trial.network.title,
        "table": trial.network.table,
        "seed": trial.seed,
        "steps": trial.steps,
        "commit": commit(),
        **seconds,
        **measured(out / "model.safetensors"),
        **figures(told),
        "command": shlex.join(["wsi-seg", *command]),
    }


def wsi_seg(arguments: list[str], log: Path, mode: str) -> None:
    """Run a command of wsi-seg, all that it says into a log."""
    with log.open(mode) as file:
        file.write(f"$ {shlex.join(['wsi-seg', *arguments])}\n")
        file.flush()
        subprocess.run(
            [sys.executable, "-m", "wsi_seg", *arguments], stdout=file, stderr=subprocess.STDOUT, check=True
        )


def figures(told: dict[str, Any]) -> dict[str, Any]:
    scores = told.get("scores", told)  # of a report, or of evaluate
    return {
        "mean_iou": scores["mean_iou"],
        "pixel_accuracy": scores["pixel_accuracy"],
        "iou": {one["name"]: one["iou"] for one in scores["classes"]},
    }


def measured(model: Path) -> dict[str, Any]:
    """Count a network, and time it against ESPNet-C with as many classes, in turn on one thread."""
    from wsi_seg.models.cost import PAPER_SIZE, count_macs, count_parameters
    from wsi_seg.models.espnet import ESPNet
    from wsi_seg.models.espnet_config import ESPNetConfig

    bundle = load_bundle(model)
    esp = ESPNet(ESPNetConfig(len(bundle.header.classes), p=2, q=3, variant="C")).eval()
    network = bundle.network.eval()
    torch.set_num_threads(1)
    image = torch.rand(1, 3, 360, 480)
    times = [(pass_time(network, image), pass_time(esp, image)) for _ in range(PASSES)]
    return {
        "parameters": count_parameters(network),
        "gmac": round(count_macs(network, *PAPER_SIZE) / 1e9, 3),
        "times_esp": round(statistics.median(mine / its for mine, its in times[1:]), 3),
    }


def pass_time(network: torch.nn.Module, image: torch.Tensor) -> float:
    with torch.inference_mode():
        began = time.thread_time()
        network(image)
        return time.thread_time() - began


def commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=RESULTS
    )
    return done.stdout.strip()


def plan(arguments: argparse.Namespace, folder: Path) -> Iterator[Trial]:
    """Yield what is to be trained; all networks with one seed before any with the next."""
    sets = data_sets(arguments.camvid, arguments.slide, arguments.outlines, folder / "generated")
    for seed in arguments.seeds:
        for data in sets:
            if data.name not in arguments.data:
                continue
            for network in networks(CLASSES[data.name]):
                if network.table in arguments.tables and network.title in (
                    arguments.networks or (network.title,)
                ):
                    yield Trial(data, network, seed, arguments.steps)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("camvid", "slide", "outlines"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--data", nargs="+", choices=list(CLASSES), default=list(CLASSES))
    parser.add_argument("--tables", nargs="+", default=["blocks", "whole", "ablations"])
    parser.add_argument("--networks", nargs="+", help="Only these, by the titles of claim_plan.py.")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument(
        "--folder", type=Path, default=Path("claim-work"), help="Trainings, generated tissue."
    )
    arguments = parser.parse_args()
    began = time.monotonic()
    for trial in plan(arguments, arguments.folder):
        if trial.key in known():
            continue
        if time.monotonic() - began > 60 * arguments.minutes:
            break
        row = run(trial, arguments.folder / "training")
        with ROWS.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{trial.key}: {row['mean_iou']:.3f}", flush=True)
    write_tables(list(known().values()), CLAIM / "claim.md")


if __name__ == "__main__":
    main()
