"""QuPath projects, written as QuPath writes them (version 0.5 to 0.7)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

OPENSLIDE = "qupath.lib.images.servers.openslide.OpenslideServerBuilder"
BIO_FORMATS = "qupath.lib.images.servers.bioformats.BioFormatsServerBuilder"

Json = dict[str, Any]


def calibration(mpp: float | None) -> Json:
    """Return what QuPath stores of a resolution; unknown is one pixel."""
    side = {"value": 1.0, "unit": "px"} if mpp is None else {"value": mpp, "unit": "µm"}
    return {
        "pixelWidth": side,
        "pixelHeight": side,
        "zSpacing": {"value": 1.0, "unit": "z-slice"},
        "timeUnit": "SECONDS",
        "timepoints": [],
    }


def server(
    uri: str,
    size: tuple[int, int] | None = None,
    mpp: float | None = None,
    args: tuple[str, ...] = (),
    provider: str = OPENSLIDE,
) -> Json:
    """Return the builder of an image straight from a file."""
    stored: Json = {
        "builderType": "uri",
        "providerClassName": provider,
        "uri": uri,
        "args": list(args),
    }
    if size is not None:
        stored["metadata"] = {
            "name": uri.rpartition("/")[2],
            "width": size[0],
            "height": size[1],
            "sizeZ": 1,
            "sizeT": 1,
            "channelType": "DEFAULT",
            "isRGB": True,
            "pixelType": "UINT8",
            "levels": [{"downsample": 1.0, "width": size[0], "height": size[1]}],
            "channels": [{"name": "Red", "color": -65536}],
            "pixelCalibration": calibration(mpp),
            "preferredTileWidth": 256,
            "preferredTileHeight": 256,
        }
    return stored


def uri_of(path: Path) -> str:
    """Return a URI as Java writes it: one slash, spaces and others as percent and two digits."""
    return path.absolute().as_uri().replace("file:///", "file:/")


def image(name: str, builder: Json, number: int = 1) -> Json:
    """Return an image of a project."""
    return {
        "serverBuilder": builder,
        "entryID": number,
        "randomizedName": str(UUID(int=number)),
        "imageName": name,
        "metadata": {},
    }


def write_project(path: Path, *images: Json, uri: str | None = None) -> Path:
    """Write a project file; it says that it lies at `uri`, by default where it does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    project = {
        "version": "0.5.1",
        "createTimestamp": 1700000000000,
        "modifyTimestamp": 1700000000001,
        "uri": uri_of(path) if uri is None else uri,
        "lastID": len(images),
        "images": list(images),
    }
    path.write_text(json.dumps(project, indent=2, ensure_ascii=False), encoding="utf-8")
    return path


def write_project_of(path: Path, *slides: Path) -> Path:
    """Write a project of slides under their file names."""
    images = (image(slide.name, server(uri_of(slide)), place) for place, slide in enumerate(slides, start=1))
    return write_project(path, *images)
