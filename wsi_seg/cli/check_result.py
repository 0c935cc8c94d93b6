"""What `wsi-seg check` says of results: whether they are whole."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from wsi_seg.batch import BatchSummary
from wsi_seg.errors import UsageError, printable
from wsi_seg.outputs.result import ResultFolder
from wsi_seg.outputs.seals import Damage
from wsi_seg.outputs.whole import Wholeness, check_labels, check_result

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = "batch.json"
"""What `predict` leaves beside the results of several slides."""


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
        raise UsageError(f"{folder}: holds no result: name a folder that `wsi-seg predict` wrote")
    for path in results:
        yield check_result(path)
    if batch.exists():
        yield _check_batch(batch)


def _check_batch(path: Path) -> Wholeness:
    """Check that no slide of a batch is without its result."""
    try:
        batch = BatchSummary.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        damage = Damage(path, "damaged, or of another version", "run `wsi-seg predict` on its slides again")
        return Wholeness(path, (damage,), None, 0)
    again = "run the same `wsi-seg predict` again"
    failed = [
        Damage(Path(o.slide), f"failed ({o.error})", again) for o in batch.outcomes if o.error is not None
    ]
    waiting = [Damage(Path(slide), "not done yet", again) for slide in batch.waiting]
    return Wholeness(path, (*failed, *waiting), None, 1)


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
        return printable(f"{found.path}: whole: {found.files} files are as they were written")
    if not found.damages:
        return printable(f"{found.path}: {found.unknown}")
    count = len(found.damages)
    lines = [f"{found.path}: not whole: {count} fault{'s' * (count > 1)}"]
    lines += [f"  fault: {damage}" for damage in found.damages]
    return "\n".join(printable(line) for line in lines)
