"""The part of `wsi-seg check` for results: whether they are complete and unchanged."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from wsi_seg.errors import UsageError, printable
from wsi_seg.files.document import DocumentError
from wsi_seg.predict.batch import BATCH, READ_AGAIN, BatchSummary
from wsi_seg.predict.found import AGAIN, holds_result, lacking, parts_of
from wsi_seg.results.labels.seals import Damage
from wsi_seg.results.whole import Wholeness, check_labels, check_result

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    if holds_result(folder):
        yield check_result(folder)
        return
    results = [path for path in sorted(folder.iterdir()) if path.is_dir() and holds_result(path)]
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
        batch = BatchSummary.read(path, READ_AGAIN)
    except DocumentError as error:
        return Wholeness(path, (Damage(path, error.what, error.remedy),), None, 0)
    parts = parts_of(batch.slides)
    lack = [lacking(path.parent, outcome, parts[outcome.slide]) for outcome in batch.outcomes]
    waiting = [Damage(Path(slide), "not done yet", AGAIN) for slide in batch.waiting]
    return Wholeness(path, (*filter(None, lack), *waiting), None, 1)


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
