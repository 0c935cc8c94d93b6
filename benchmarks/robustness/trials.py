"""What is damaged, which command then reads it, and what must not change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from .damages import Trial
from .forks import Kill, run
from .inputs import Inputs
from .results import ZARR
from .variants import SMALL

Outcome = Callable[[Path, Path], str]

HALF = 6
"""Regions of an unfinished result that are on record."""


def all_trials(inputs: Inputs, finished: Path, unfinished: Path, data: Path | None) -> list[Trial]:
    """Return all trials.

    Parameters
    ----------
    inputs : Inputs
    finished, unfinished : Path
        Results of `inputs.slide`, called after it: a whole one, and one that was killed half way.
    data : Path or None
        A folder of real slides, in ``slides/``, for formats that nobody here can write.
    """
    real = [] if data is None else of_real_slides(inputs, data / "slides")
    return [
        *of_slides(inputs),
        *real,
        *of_annotations(inputs, finished),
        *of_models(inputs),
        *of_results(inputs, finished, unfinished),
        *of_pictures(inputs),
    ]


def of_slides(inputs: Inputs) -> list[Trial]:
    """Slides that the script writes, each read by `predict`."""
    return [_slide(inputs, kind, path, weight=6) for kind, path in inputs.slides.items()]


def of_real_slides(inputs: Inputs, folder: Path) -> list[Trial]:
    """Real slides, at a coarse resolution."""
    grey, coarse = ("--allow-grey",), ("--working-mpp", "4")
    found = {
        "Aperio SVS, a real one": ("CMU-1-Small-Region.svs", coarse),
        "DICOM, a real one": ("CMU-1-Small-Region_dicom", coarse),
        "Hamamatsu NDPI, a real one": ("test3-DAPI.ndpi", (*grey, *coarse)),
        "MIRAX, a real one": ("Mirax2-Fluorescence-2.mrxs", (*grey, "--working-mpp", "16")),
    }
    return [
        _slide(inputs, kind, folder / name, *more, weight=2)
        for kind, (name, more) in found.items()
        if (folder / name).exists()
    ]


def _slide(inputs: Inputs, kind: str, path: Path, *more: str, weight: int) -> Trial:
    def command(copy: Path, out: Path) -> list[str]:
        slide = sorted(copy.glob("*.dcm"))[:1] if copy.is_dir() else [copy]
        named = str(slide[0]) if slide else str(copy)
        return ["predict", named, "-o", str(out), "--model", str(inputs.model), *SMALL, *more]

    return Trial("slides", kind, path, command, lambda _, out: labels_in(out), weight=weight)


def of_annotations(inputs: Inputs, finished: Path) -> list[Trial]:
    """Outlines, read by what takes them."""

    def evaluate(copy: Path, out: Path) -> list[str]:
        return ["evaluate", str(finished), str(copy), "--json", str(out / "scores.json")]

    def roi(copy: Path, out: Path) -> list[str]:
        given = ["--roi", str(copy), "--model", str(inputs.model)]
        return ["predict", str(inputs.slide), "-o", str(out), *given, *SMALL]

    def tiles(copy: Path, out: Path) -> list[str]:
        return ["tiles", str(inputs.slide), str(copy), "-o", str(out / "tiles"), "--size", "128"]

    def check(copy: Path, out: Path) -> list[str]:
        return ["check", str(copy)]

    files = inputs.annotations
    trials = [Trial("annotations", kind, path, evaluate, scores_in, weight=4) for kind, path in files.items()]
    trials += [
        Trial("annotations", kind, files[kind], check, lambda *_: "checked", weight=1)
        for kind in ("QuPath GeoJSON", "QuPath GeoJSON, gzipped")
    ]
    trials.append(Trial("annotations", "HALO", files["HALO"], roi, lambda _, out: labels_in(out)))
    trials += [
        Trial("annotations", kind, files[kind], tiles, lambda _, out: pictures_in(out))
        for kind in ("QuPath GeoJSON", "ASAP XML", "ImageScope XML")
    ]
    return trials


def of_models(inputs: Inputs) -> list[Trial]:
    """Models, read by `predict`."""
    slide = inputs.slides["TIFF, JPEG"]

    def command(copy: Path, out: Path) -> list[str]:
        return ["predict", str(slide), "-o", str(out), "--model", str(copy), *SMALL]

    return [Trial("models", "safetensors", inputs.model, command, lambda _, out: labels_in(out), weight=12)]


def of_results(inputs: Inputs, finished: Path, unfinished: Path) -> list[Trial]:
    """Results, whole and half, read by all that reads them."""
    outlines = inputs.annotations["QuPath GeoJSON"]

    def predict(*more: str) -> Callable[[Path, Path], list[str]]:
        given = ["--model", str(inputs.model), *SMALL, *more]
        return lambda copy, out: ["predict", str(inputs.slide), "-o", str(copy.parent), *given]

    def export(copy: Path, out: Path) -> list[str]:
        return ["export", str(copy), "-o", str(out / "shapes.geojson"), "--simplify", "8"]

    def evaluate(copy: Path, out: Path) -> list[str]:
        return ["evaluate", str(copy), str(outlines), "--json", str(out / "scores.json")]

    def check(copy: Path, out: Path) -> list[str]:
        return ["check", str(copy)]

    def own(copy: Path, out: Path) -> str:
        return labels_in(copy.parent)

    def exported(copy: Path, out: Path) -> str:
        return text_of(out / "shapes.geojson")

    whole = [
        ("finished, predict again", predict(), own),
        ("finished, predict --simplify", predict("--simplify", "8"), own),
        ("finished, export", export, exported),
        ("finished, evaluate", evaluate, scores_in),
        ("finished, check", check, own),
    ]
    return [
        *(Trial("results", k, finished, c, o, checked=True, weight=3) for k, c, o in whole),
        Trial("results", "unfinished, predict again", unfinished, predict(), own, checked=True, weight=9),
    ]


def of_pictures(inputs: Inputs) -> list[Trial]:
    """Plain pictures, and images with masks."""

    def predict(copy: Path, out: Path) -> list[str]:
        return ["predict", str(copy), "-o", str(out), "--model", str(inputs.picture_model)]

    def evaluate(copy: Path, out: Path) -> list[str]:
        return [
            "evaluate",
            str(inputs.picture_model),
            str(copy),
            "--split",
            "train",
            "--json",
            str(out / "scores.json"),
        ]

    pictures = inputs.pictures.items()
    trials = [
        Trial("pictures", kind, path, predict, lambda _, out: pictures_in(out), weight=3)
        for kind, path in pictures
    ]
    for part in ("images", "masks"):
        trials.append(
            Trial(
                "pictures", f"a data set's {part}", inputs.dataset, evaluate, scores_in, f"{part}/*", weight=4
            )
        )
    return trials


def half_way(inputs: Inputs, finished: Path, out: Path) -> Path:
    """Leave a result that was killed when about half of its regions were on record."""
    out.mkdir(parents=True)
    result = out / finished.name
    arguments = ["predict", str(inputs.slide), "-o", str(out), "--model", str(inputs.model), *SMALL]
    kill = Kill("event", HALF + 1, among=f"os.rename {result}/.wsi-seg/regions/")
    ended = run(arguments, out.with_suffix(".log"), kill=kill, events=out)
    if not ended.killed or not list(result.rglob("regions/[0-9]*")):
        raise SystemExit(f"no run could be killed half way: {ended.said}")
    return result


def labels_in(folder: Path) -> str:
    """Return all that results in a folder say of labels: pixels, classes, frames, areas, shapes."""
    said = []
    for summary in sorted(folder.glob("*/summary.json")):
        result = summary.parent
        try:
            document = json.loads(summary.read_text())
        except ValueError:
            document = {}
        kept = ("status", "classes", "label_mpp", "label_size", "unprocessed_mm2")
        said += [f"{name} {json.dumps(document.get(name))}" for name in kept]
        labels = result / ZARR / "labels" / "tissue"
        for path in sorted(p for p in labels.rglob("*") if p.is_file()):
            said.append(f"{path.relative_to(labels)} {_stored(path)}")
        said += [f"{p.name} {_hash(p.read_bytes())}" for p in sorted(result.glob("slide.geojson*"))]
    return "\n".join(said)


def scores_in(copy: Path, out: Path) -> str:
    """Return the scores of an evaluation, but not what was evaluated, nor when."""
    path = out / "scores.json"
    if not path.exists():
        return ""
    document = json.loads(path.read_text())
    for name in ("subject", "data", "command", "seconds", "remarks"):
        document.pop(name, None)
    return json.dumps(document, indent=1).replace(str(copy.parent), "")


def pictures_in(out: Path) -> str:
    """Return the pixels of all pictures in a folder, hashed."""
    paths = sorted(p for p in out.rglob("*.png") if p.is_file())
    return "\n".join(f"{p.relative_to(out)} {_hash(np.asarray(Image.open(p)).tobytes())}" for p in paths)


def text_of(path: Path) -> str:
    """Return a text file, or nothing."""
    return path.read_text(errors="replace") if path.exists() else ""


def _stored(path: Path) -> str:
    """Hash a file of a Zarr; of JSON what it says, not how it is written."""
    content = path.read_bytes()
    if path.suffix == ".json" or path.name.startswith(".z"):
        try:
            content = json.dumps(json.loads(content)).encode()
        except ValueError:
            return "damaged"
    return _hash(content)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
