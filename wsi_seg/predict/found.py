"""What a folder of results holds now of the slides that a batch has recorded."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from wsi_seg.errors import MissingError, OutputError
from wsi_seg.files.document import read_object
from wsi_seg.predict.batch import NoResult, record_digest
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.labels.seals import Damage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wsi_seg.predict.batch import Outcome

AGAIN = "run the same `wsi-seg predict` again"
ANOTHER = "put each result back under its own name"


def require_folder(results: Path) -> None:
    """Refuse a folder of results that is not there.

    Raises
    ------
    MissingError
    """
    if not results.is_dir():
        what = "not a folder" if results.exists() else "no such folder"
        raise MissingError(f"{results}: {what}: name the folder that `wsi-seg predict -o` wrote to")


def parts_of(slides: Iterable[str]) -> dict[str, int]:
    """Return, by slide, how many parts of its path, from the end, tell it from the others."""
    names = {slide: Path(slide).name for slide in slides}
    alike = Counter(names.values())
    return {slide: 1 if alike[name] == 1 else 2 for slide, name in names.items()}


def place_of(folder: Path, outcome: Outcome) -> Path:
    """Return where the result of a slide is in a folder of results, if it is there.

    The folder may have been moved, so only a result's name counts. A slide that failed may have one by now.
    """
    from wsi_seg.slides.slide_names import bare_name  # imports zarr, which takes half a second

    return folder / (Path(outcome.result).name if outcome.result else bare_name(Path(outcome.slide)))


def lacking(folder: Path, outcome: Outcome, parts: int) -> Damage | None:
    """Return the damage if the folder lacks the result of a slide or plain image, else None.

    `parts` of a slide's path, from its end, are what tells it from the others of the batch.
    """
    slide, result = Path(outcome.slide), place_of(folder, outcome)
    if outcome.error is not None:
        done = _is_of(result, outcome.slide, parts) and record_digest(result) != outcome.left
        done |= outcome.result is None and has_pictures(result, slide.stem)
        return None if done else Damage(slide, f"failed ({outcome.error})", AGAIN)
    if holds_result(result):
        other = None if outcome.status == NoResult.COPY else _slide_of(result)
        if other is None or _same(other, outcome.slide, parts):
            return None
        return Damage(result, f"holds the result of {other}, not of {slide}", ANOTHER)
    if has_pictures(result, slide.stem):
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


def has_pictures(folder: Path, stem: str) -> bool:
    """Return whether the result of a plain image exists, with no damaged picture."""
    from wsi_seg.slides.picture import DECODE_ERRORS, verify_png

    try:
        for kind in ("index", "color", "overlay"):
            verify_png(folder / f"{stem}_{kind}.png")
    except DECODE_ERRORS:
        return False
    return True


def holds_result(folder: Path) -> bool:
    """Return whether a folder is a result, complete or not."""
    result = ResultFolder(folder)
    return result.record_path.exists() or result.zarr.exists() or result.work.exists()
