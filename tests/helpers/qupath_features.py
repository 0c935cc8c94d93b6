"""GeoJSON objects as QuPath writes them, sound unless a test spoils them, and the check of a file of them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsi_seg.results.qupath.geojson_check import CheckReport, check_file

JsonObject = dict[str, Any]

SQUARE = [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]]
BESIDE = [[[10, 0], [20, 0], [20, 10], [10, 10], [10, 0]]]


def feature(coordinates: object = SQUARE, kind: str = "Polygon", **properties: object) -> JsonObject:
    """An annotation of class Tumour, with other properties."""
    return {
        "type": "Feature",
        "id": "5504697f-2788-52d5-b56d-279490d6209a",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": {
            "objectType": "annotation",
            "classification": {"name": "Tumour", "color": [200, 0, 0]},
            "measurements": {"Area um^2": 100.5},
        }
        | properties,
    }


def collection(*features: object) -> JsonObject:
    """A whole file's content."""
    return {"type": "FeatureCollection", "features": list(features)}


def without(item: Mapping[str, Any], *keys: str) -> JsonObject:
    """An object that lacks some of its members."""
    return {key: value for key, value in item.items() if key not in keys}


@dataclass(frozen=True)
class Checker:
    """Writes what a file is to hold into a folder, and checks it."""

    folder: Path

    def __call__(
        self,
        content: object,
        name: str = "slide.geojson",
        *,
        coverage: bool = False,
        image_size: tuple[int, int] | None = None,
    ) -> CheckReport:
        """Check a file of these bytes, or of this JSON."""
        path = self.folder / name
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
        return check_file(path, coverage, image_size)

    def refuses(self, content: object, kind: str, says: str) -> None:
        """See that there is one error, of this kind, and that it says so and has a remedy."""
        report = self(content)
        (fault,) = [f for f in report.faults if not f.warning]
        assert fault.kind == kind
        assert says in f"{fault.where} {fault.what}"
        assert fault.remedy
        assert not report.ok
        assert report.errors == 1
