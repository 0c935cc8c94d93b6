"""Shapes drawn on slides, as QuPath writes them."""

from __future__ import annotations

import json
from pathlib import Path

import shapely

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in level-0 pixels."""


def write_boxes(path: Path, *boxes: tuple[str, Box]) -> Path:
    """Write upright rectangles, each with its class."""
    features = [
        {
            "type": "Feature",
            "geometry": shapely.geometry.mapping(shapely.box(*box)),
            "properties": {"classification": {"name": name, "color": [200, 0, 0]}},
        }
        for name, box in boxes
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path
