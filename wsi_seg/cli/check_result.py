"""The part of `wsi-seg check` for results: whether they are complete and unchanged."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from wsi_seg.errors import OutputError, UsageError, printable
from wsi_seg.files.document import DocumentError, read_object
from wsi_seg.predict.batch import BatchSummary, NoResult, record_digest
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.labels.seals import Damage
from wsi_seg.results.whole import Wholeness, check_labels, check_result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsi_seg.predict.batch import Outcome

BATCH = "batch.json"
"""The names of files that `predict` writes beside the results of several slides."""

AGAIN = "run the same `wsi-seg predict` again"
ANOTHER = "put each result back under its own name"


def check_folder(folder: Path) -> Iterator[Wholeness]:
    """Check a result folder, the OME-Zarr in one, or all results in a folder of results.

    Raises
    ------
    UsageError
        If there is no result in it.
    """
    if folder.name.endswith(".zarr"):
        yield check_labels(folder)
        return
    if _is_result(folder):
        yield check_result(folder)
        return
    results = [path for path in sorted(folder.iterdir()) if path.is_dir() and _is_result(path)]
    batch = folder / BATCH
    if not results and not batch.exists():
        raise UsageError(f"{folder}: holds no result: name a folder written by `wsi-seg predict`")
    for path in results:
        yield check_result(path)
    if batch.exists():
        yield _check_batch(batch)


def _check_batch(path: Path) -> Wholeness:
    """Check that each slide of a batch has its result in the folder as it is now."""
    try:
        batch = BatchSummary.read(path, "run `wsi-seg predict` on its slides again")
    except DocumentError as error:
        return Wholeness(path, (Damage(path, error.what, error.remedy),), None, 0)
    several = Counter(Path(outcome.slide).name for outcome in batch.outcomes)
    lacking = [
        _lacking(path.parent, outcome, 1 if several[Path(outcome.slide).name] == 1 else 2)
        for outcome in batch.outcomes
    ]
    waiting = [Damage(Path(slide), "not done yet", AGAIN) for slide in batch.waiting]
    return Wholeness(path, (*filter(None, lacking), *waiting), None, 1)


def _lacking(folder: Path, outcome: Outcome, parts: int) -> Damage | None:
    """Return the damage if the folder lacks the result of a slide or plain image, else None.

    `parts` of a slide's path, from its end, are what tells it from the others of the batch.
    """
    from wsi_seg.slides.naming import bare_name

    slide = Path(outcome.slide)
    # The folder may have been moved, so only its name counts. A slide that failed may have a result by now.
    result = folder / (Path(outcome.result).name if outcome.result else bare_name(slide))
    if outcome.error is not None:
        done = _is_of(result, outcome.slide, parts) and record_digest(result) != outcome.left
        done |= outcome.result is None and _has_pictures(result, slide.stem)
        return None if done else Damage(slide, f"failed ({outcome.error})", AGAIN)
    if _is_result(result):
        other = None if outcome.status == NoResult.COPY else _slide_of(result)
        if other is None or _same(other, outcome.slide, parts):
            return None
        return Damage(result, f"holds the result of {other}, not of {slide}", ANOTHER)
    if _has_pictures(result, slide.stem):
        return None
    what = "missing or damaged" if result.is_dir() else "missing"
    return Damage(result, f"{what}, the result of {slide}", f"copy it again if it is a copy, or {AGAIN}")


def _is_of(result: Path, slide: str, parts: int) -> bool:
    """Return whether a folder holds a finished result of a slide."""
    folder = ResultFolder(result)
    if not folder.record_path.exists():
        return False
    try:
        record = folder.read_record()
    except OutputError:  # reported where the result itself is checked
        return False
    other = _slide_of(result)
    finished = record is not None and record.progress == "finished"
    return finished and other is not None and _same(other, slide, parts)


def _slide_of(result: Path) -> str | None:
    """Return the slide that a result's summary names; None without one, which is reported elsewhere."""
    try:
        slide = read_object(ResultFolder(result).summary_json, AGAIN).get("slide")
    except OutputError:
        return None
    return slide if isinstance(slide, str) else None


def _same(slide: str, other: str, parts: int) -> bool:
    """Return whether two paths may be of one slide, which may have been named in another way since."""
    ends = (reversed(Path(path).parts[-parts:]) for path in (slide, other))
    return all(one == two for one, two in zip(*ends, strict=False))


def _has_pictures(folder: Path, stem: str) -> bool:
    """Return whether the result of a plain image exists, with no damaged picture."""
    from wsi_seg.slides.picture import DECODE_ERRORS, verify_png

    try:
        for kind in ("index", "color", "overlay"):
            verify_png(folder / f"{stem}_{kind}.png")
    except DECODE_ERRORS:
        return False
    return True


def _is_result(folder: Path) -> bool:
    result = ResultFolder(folder)
    return result.record_path.exists() or result.zarr.exists() or result.work.exists()


def as_json(found: Wholeness) -> str:
    """Return one line of JSON."""
    return json.dumps({**asdict(found), "ok": found.ok}, default=str)


def as_text(found: Wholeness) -> str:
    """Return the verdict, and a line for each fault."""
    if found.ok:
        if found.path.name == BATCH:
            return printable(f"{found.path}: every slide has its result")
        return printable(f"{found.path}: complete: {found.files} files are unchanged since they were written")
    if not found.damages:
        return printable(f"{found.path}: {found.unknown}")
    count = len(found.damages)
    lines = [f"{found.path}: damaged or incomplete: {count} fault{'s' * (count > 1)}"]
    lines += [f"  fault: {damage}" for damage in found.damages]
    return "\n".join(printable(line) for line in lines)
