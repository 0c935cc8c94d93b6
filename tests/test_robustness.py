"""Kills, full disks, damaged slides: nothing is lost, nothing half is taken for whole."""

from __future__ import annotations

import json
import random
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from conftest import tissue_rgb, write_tiff
from helpers.results import fingerprints, labels_of

pytestmark = pytest.mark.slow

SMALL = ["--patch", "192", "--overlap", "64", "--workers", "2"]


def command(slide: Path, out: Path, model: Path, *more: str) -> list[str]:
    arguments = ["predict", str(slide), "-o", str(out), "--model", str(model), *SMALL, *more]
    return [sys.executable, "-m", "wsi_seg", *arguments]


@pytest.fixture(scope="module")
def big_slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiff(tmp_path_factory.mktemp("big") / "big.tiff", tissue_rgb(1500, 1700))


@pytest.fixture(scope="module")
def undisturbed(big_slide: Path, model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    subprocess.run(command(big_slide, out, model_path), check=True, capture_output=True)
    return out / "big"


@pytest.mark.parametrize("most_bytes", [60_000, 500])
def test_a_disk_that_is_full_costs_nothing_that_was_done(
    undisturbed: Path, big_slide: Path, model_path: Path, tmp_path: Path, most_bytes: int
) -> None:
    """A limit on file size stands in for the full disk: writing fails at one stage or another."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    run = command(big_slide, tmp_path, model_path)
    failed = subprocess.run(run, capture_output=True, text=True, check=False, preexec_fn=limited)
    assert failed.returncode == 1
    assert "cannot be written" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (tmp_path / "big" / "summary.json").exists()
    again = subprocess.run(run, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert fingerprints(tmp_path / "big") == fingerprints(undisturbed)


def damaged_copies(folder: Path, slide: Path, count: int, seed: int) -> list[Path]:
    """Flip bytes anywhere, or cut the file short."""
    chance = random.Random(seed)
    copies = []
    content = slide.read_bytes()
    for i in range(count):
        copy = bytearray(content)
        if chance.random() < 0.3:
            copy = copy[: chance.randrange(1, len(copy))]
        else:
            for _ in range(chance.choice([1, 3, 30, 300])):
                copy[chance.randrange(len(copy))] ^= 1 << chance.randrange(8)
        copies.append(folder / f"{slide.stem}-{i:03d}{slide.suffix}")
        copies[-1].write_bytes(copy)
    return copies


def run_batch(folder: Path, out: Path, model: Path, *more: str) -> list[dict[str, object]]:
    done = subprocess.run(
        command(folder, out, model, *more), capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    outcomes: list[dict[str, object]] = json.loads((out / "batch.json").read_text())["outcomes"]
    return outcomes


def test_damaged_slides_end_in_a_line_each(slide_path: Path, model_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "slides"
    folder.mkdir()
    copies = damaged_copies(folder, slide_path, 16, seed=1)
    outcomes = run_batch(folder, tmp_path / "out", model_path)
    assert len(outcomes) == len(copies)
    for outcome in outcomes:
        error = outcome["error"]
        assert error is None or (isinstance(error, str) and "\n" not in error)
        assert (outcome["status"] == "failed") == (error is not None)
        whole = (Path(str(outcome["result"])) / "summary.json").exists()
        assert whole == (error is None)


def test_damaged_real_slides_end_in_a_line_each(shared_data: Path, model_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "slides"
    folder.mkdir()
    damaged_copies(folder, shared_data / "slides" / "CMU-1-Small-Region.svs", 10, seed=2)
    outcomes = run_batch(folder, tmp_path / "out", model_path, "--working-mpp", "8", "--mpp", "0.5")
    assert len(outcomes) == 10


def test_damage_in_a_tile_is_never_called_done(slide_path: Path, model_path: Path, tmp_path: Path) -> None:
    """Deflate has a checksum, so every flipped bit in a tile can be noticed, and must be."""
    folder = tmp_path / "slides"
    folder.mkdir()
    chance = random.Random(3)
    with tifffile.TiffFile(slide_path) as tiff:
        page = tiff.pages[0]
        tiles = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    for i in range(8):
        content = bytearray(slide_path.read_bytes())
        offset, count = chance.choice(tiles)
        content[offset + chance.randrange(count)] ^= 1 << chance.randrange(8)
        (folder / f"{i:02d}.tiff").write_bytes(content)
    (folder / "intact.tiff").write_bytes(slide_path.read_bytes())
    outcomes = run_batch(folder, tmp_path / "out", model_path)
    intact = labels_of(tmp_path / "out" / "intact")
    for outcome in outcomes:
        labels = labels_of(Path(str(outcome["result"])))
        good = labels != 255
        if outcome["unprocessed_mm2"] == 0:
            np.testing.assert_array_equal(labels, intact)
        else:
            assert (~good).sum() * 4e-6 == pytest.approx(outcome["unprocessed_mm2"])
    assert sum(outcome["unprocessed_mm2"] != 0 for outcome in outcomes) >= 6


def test_a_signal_ends_a_run_in_one_line(big_slide: Path, model_path: Path, tmp_path: Path) -> None:
    run = subprocess.Popen(command(big_slide, tmp_path, model_path), stderr=subprocess.PIPE, text=True)
    assert run.stderr is not None
    while "regions" not in run.stderr.readline():
        assert run.poll() is None
    run.send_signal(signal.SIGTERM)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 143
    assert [line for line in said.splitlines() if not line.startswith("  ")] == [
        "wsi-seg: interrupted (SIGTERM): stopping after the current regions; again to end at once; "
        "run the same command again to resume"
    ]
    assert not (tmp_path / "big" / "summary.json").exists()


def test_some_kills_and_damages_of_the_benchmark_show_no_fault(tmp_path: Path) -> None:
    """Its short form; the long one is in benchmarks/results/robustness.md.

    Runs are forks of a process that has imported everything: a kill costs about 2 s in place of 10.
    """
    counts = ["--kills", "12", "--damages", "9", "--jobs", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.robustness", *counts, "--folder", str(tmp_path / "tried")],
        cwd=Path(__file__).resolve().parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "tried").exists()
    kills, damages = done.stdout.split("## Damaged inputs")
    assert int(re.findall(r"^(\d+) kills", kills, re.MULTILINE)[0]) >= 12
    assert int(re.findall(r"^(\d+) inputs", damages, re.MULTILINE)[0]) >= 9
    assert damages.rstrip().endswith("None.")
