"""The same few outlines in every annotation format that `wsi-seg` reads."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

Corners = list[tuple[float, float]]

COLOURS = {"Malignant epithelium": (0, 0, 130), "Normal stroma": (255, 150, 255)}


def outlines(width: int, height: int) -> list[tuple[str, Corners]]:
    """Return class and corners of some shapes on a slide of that size, in its pixels."""
    shapes = []
    for number, name in enumerate((*COLOURS, *COLOURS)):
        x, y = width * (0.25 + 0.5 * (number % 2)), height * (0.25 + 0.5 * (number // 2))
        radius = 0.2 * min(width, height)
        turns = [2 * math.pi * k / 12 for k in range(12)]
        corners = [(round(x + radius * math.cos(t), 1), round(y + radius * math.sin(t), 1)) for t in turns]
        shapes.append((name, [*corners, corners[0]]))
    return shapes


def write_outlines(folder: Path, width: int, height: int) -> dict[str, Path]:
    """Write the shapes in each format; return the files by the name of the format."""
    shapes = outlines(width, height)
    texts = {
        "QuPath GeoJSON": ("outlines.geojson", _geojson(shapes)),
        "QuPath GeoJSON, gzipped": ("zipped.geojson.gz", _geojson(shapes)),
        "ASAP XML": ("asap.xml", _asap(shapes)),
        "ImageScope XML": ("imagescope.xml", _imagescope(shapes)),
        "HALO": ("halo.annotations", _halo(shapes)),
    }
    files = {}
    for kind, (name, text) in texts.items():
        files[kind] = folder / name
        content = text.encode()
        files[kind].write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    return files


def _geojson(shapes: list[tuple[str, Corners]]) -> str:
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [corners]},
            "properties": {
                "objectType": "annotation",
                "classification": {"name": name, "color": COLOURS[name]},
            },
        }
        for name, corners in shapes
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, indent=1)


def _asap(shapes: list[tuple[str, Corners]]) -> str:
    drawn = "\n".join(
        f'<Annotation Name="{i}" Type="Polygon" PartOfGroup="{name}" Color="#F4FA58"><Coordinates>'
        + "".join(f'<Coordinate Order="{k}" X="{x}" Y="{y}" />' for k, (x, y) in enumerate(corners[:-1]))
        + "</Coordinates></Annotation>"
        for i, (name, corners) in enumerate(shapes)
    )
    groups = "".join(
        f'<Group Name="{name}" PartOfGroup="None" Color="#{r:02x}{g:02x}{b:02x}"><Attributes /></Group>'
        for name, (r, g, b) in COLOURS.items()
    )
    return (
        f'<?xml version="1.0"?>\n<ASAP_Annotations>\n<Annotations>\n{drawn}\n</Annotations>\n'
        f"<AnnotationGroups>{groups}</AnnotationGroups>\n</ASAP_Annotations>\n"
    )


def _imagescope(shapes: list[tuple[str, Corners]]) -> str:
    layers = "\n".join(
        f'<Annotation Id="{i}" Name="{name}" LineColor="65280"><Attributes/><Regions>'
        '<Region Id="1" Type="0" NegativeROA="0" InputRegionId="0" Text=""><Attributes/><Vertices>'
        + "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in corners)
        + "</Vertices></Region></Regions><Plots/></Annotation>"
        for i, (name, corners) in enumerate(shapes)
    )
    return f'<Annotations MicronsPerPixel="2.0">\n{layers}\n</Annotations>\n'


def _halo(shapes: list[tuple[str, Corners]]) -> str:
    layers = "\n".join(
        f'<Annotation LineColor="5634047" Name="{name}" Visible="True"><Regions>'
        '<Region Type="Polygon" HasEndcaps="0" NegativeROA="0"><Vertices>'
        + "".join(f'<V X="{x}" Y="{y}" />' for x, y in corners)
        + "</Vertices><Comments /></Region></Regions></Annotation>"
        for name, corners in shapes
    )
    return f"<Annotations>\n{layers}\n</Annotations>\n"
