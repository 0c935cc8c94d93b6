"""What a result folder holds, so that two can be compared byte by byte."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

ZARR = "slide.ome.zarr"
WORK = ".wsi-seg"

Contents = dict[str, str]
"""A hash for each file that bears a final name, by its path inside the folder."""


def contents_of(folder: Path) -> Contents:
    """Hash what bears a final name; of summaries all but the seconds and the command."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    inside = {path.relative_to(folder): path for path in files}
    return {
        str(name): _hash(path)
        for name, path in inside.items()
        if name.parts[0] != WORK
        and not name.name.startswith(".")
        and not any(part.endswith(".partial") for part in name.parts)  # a folder being removed, too
    }


def differing(found: Contents, expected: Contents) -> list[str]:
    """Name the files that are not as expected, missing ones and others' too."""
    return [name for name in sorted(found.keys() | expected.keys()) if found.get(name) != expected.get(name)]


def halves(found: Contents, wholes: list[Contents]) -> list[str]:
    """Name what bears a final name and is of none of the whole results: a file, or the pyramid as one."""
    wrong = [
        name
        for name, value in found.items()
        if not name.startswith(ZARR) and all(value != whole.get(name) for whole in wholes)
    ]
    pyramid = _pyramid(found)
    if pyramid and all(pyramid != _pyramid(whole) for whole in wholes):
        wrong.append(ZARR)
    return wrong


def _pyramid(contents: Contents) -> Contents:
    return {name: value for name, value in contents.items() if name.startswith(ZARR)}


def _hash(path: Path) -> str:
    content = path.read_bytes()
    if path.name == "summary.json":
        try:
            document = json.loads(content)
        except ValueError:
            return "damaged"
        kept = {name: value for name, value in document.items() if name not in ("seconds", "command")}
        content = json.dumps(kept, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()


def weights_of(model: Path) -> str:
    """Hash the weights of a model file, not what it says of itself: that holds times."""
    content = model.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    return hashlib.sha256(content[start:]).hexdigest()
