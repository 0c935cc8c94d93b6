"""Tiles: folders of images and masks, or lists of them, as in the ESPNet paper's breast-biopsy data set.

If a data set has lists, ``train.txt``, ``val.txt`` or ``test.txt``, they define its content: each line has
an image, its mask, and optionally the diagnosis, a number, with commas or white space between them.
Otherwise masks have their images' names, except for the suffix, in one of these pairs of folders:

    images, masks                        (one split, called train)
    train/images, train/masks
    images/train, masks/train
    train, trainannot                    (SegNet's)
    trainrgb, trainannot                 (the breast-biopsy data set's)

Masks hold the class schema's ids, or its colours; 255 means unknown.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wsi_seg.data.dataset_layout import SPLITS, Layout, Pair
from wsi_seg.data.masks import code_of_ids
from wsi_seg.errors import AnnotationError
from wsi_seg.files.plain_files import read_plain_text

if TYPE_CHECKING:
    from wsi_seg.data.dataset_layout import Faults
    from wsi_seg.data.masks import MaskCoding
    from wsi_seg.models.classes import ClassSchema

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"}
UNSPLIT = "train"
CLASSES_FILE = "classes.yaml"
"""The class schema's file in a data set's folder."""


def splits(folder: Path) -> tuple[str, ...]:
    """Return the splits of a data set; none if it is not a data set of tiles."""
    listed = tuple(split for split in SPLITS if list_path(folder, split).is_file())
    return listed or tuple(split for split in SPLITS if _folders(folder, split))


def pairs(folder: Path, split: str, faults: Faults) -> list[Pair]:
    """Find the images and masks of a split."""
    if list_path(folder, split).is_file():
        return _listed(folder, list_path(folder, split), faults)
    folders = _folders(folder, split)
    return _matched(*folders, faults) if folders else []


def list_path(folder: Path, split: str) -> Path:
    """Return the path of a split's list, if there is one."""
    return folder / f"{split}.txt"


def _root(folder: Path) -> Path | None:
    return folder if splits(folder) else None


def _biopsy_root(folder: Path) -> Path | None:
    found = any((folder / f"{split}rgb").is_dir() and _masks(folder, split).is_dir() for split in SPLITS)
    return folder if found else None


def _coding(schema: ClassSchema, pair: Pair) -> MaskCoding:
    return code_of_ids(schema)


def _masks(folder: Path, split: str) -> Path:
    return folder / f"{split}annot"


def _folders(folder: Path, split: str) -> tuple[Path, Path] | None:
    """Return a split's folders of images and of masks."""
    candidates = [
        (folder / split / "images", folder / split / "masks"),
        (folder / "images" / split, folder / "masks" / split),
        (folder / split, _masks(folder, split)),
        (folder / f"{split}rgb", _masks(folder, split)),
    ]
    if split == UNSPLIT:
        candidates.append((folder / "images", folder / "masks"))
    return next(((images, masks) for images, masks in candidates if images.is_dir() and masks.is_dir()), None)


def _matched(images: Path, masks: Path, faults: Faults) -> list[Pair]:
    """Pair images and masks of the same name."""
    image_of, mask_of = _by_stem(images, faults), _by_stem(masks, faults)
    for stem in sorted(image_of.keys() - mask_of.keys()):
        faults.add("images without a mask", image_of[stem].name)
    for stem in sorted(mask_of.keys() - image_of.keys()):
        faults.add("masks without an image", mask_of[stem].name)
    return [Pair(image_of[stem], mask_of[stem]) for stem in sorted(image_of.keys() & mask_of.keys())]


def _by_stem(folder: Path, faults: Faults) -> dict[str, Path]:
    """Map the pictures in a folder and its subfolders by their path in it, without the suffix."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith("."):
            continue
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            faults.add("files whose names differ only in the suffix", str(path))
        found[stem] = path
    return found


def _listed(folder: Path, listing: Path, faults: Faults) -> list[Pair]:
    """Read a list of images, masks and diagnoses."""
    found = []
    for number, line in enumerate(read_lines(listing), start=1):
        entries = [entry.strip() for entry in line.split(",")] if "," in line else line.split()
        if not entries:
            continue
        where = f"{listing.name} line {number}"
        if len(entries) not in (2, 3) or not all(entries) or not all(e.isdigit() for e in entries[2:]):
            faults.add("lines that are not an image, a mask and optionally a diagnosis (a number)", where)
            continue
        image, mask = (_resolved(folder, entry) for entry in entries[:2])
        for path, entry, what in ((image, entries[0], "images"), (mask, entries[1], "masks")):
            if path is None:
                faults.add(f"{what} that are listed but missing", f"{entry} ({where})")
        if image and mask:
            found.append(Pair(image, mask, diagnosis=int(entries[2]) if entries[2:] else None))
    undiagnosed = [pair.image.name for pair in found if pair.diagnosis is None]
    for name in undiagnosed if len(undiagnosed) < len(found) else ():
        faults.add("images without a diagnosis where others have one", name)
    return found


def _resolved(folder: Path, entry: str) -> Path | None:
    """Find a listed file, whatever leading folders the machine that wrote the list had."""
    parts = Path(entry.lstrip("/")).parts
    inside = [folder.joinpath(*parts[start:]) for start in range(len(parts))]
    return next((path for path in (*inside, Path(entry)) if path.is_file()), None)


def read_lines(listing: Path) -> list[str]:
    """Read the lines of a list.

    Raises
    ------
    AnnotationError
        If it can't be read as text.
    """
    try:
        return read_plain_text(listing, "utf-8-sig").splitlines()
    except OSError as error:
        raise AnnotationError(f"{listing}: cannot be read ({error.strerror}): give a text file") from error
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{listing}: cannot be read as a list: give a text file") from error


TILES = Layout("tiles", None, _root, splits, pairs, _coding)
BREAST_BIOPSY = Layout("breast-biopsy", "breast-biopsy", _biopsy_root, splits, pairs, _coding)
