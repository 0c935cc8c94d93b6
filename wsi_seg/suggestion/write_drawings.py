"""Windows, and outlines in doubt, as QuPath annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import orjson
import shapely

from wsi_seg.errors import AnnotationError, OutputError
from wsi_seg.files.files import replacing
from wsi_seg.files.jsonfile import read_json
from wsi_seg.results.polygons.geojson_writer import outline_id
from wsi_seg.slides.slide_names import bare_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from wsi_seg.models.classes import Rgb

RANK = "Suggested rank"
"""The measurement by which a file is known for one that was suggested, and that nobody has drawn into."""

DECIMALS = 2


class Drawing(NamedTuple):
    """An annotation to be written.

    Attributes
    ----------
    outline_qupath : Polygon or MultiPolygon
    class_name : str
    color : (int, int, int)
    rank : int
    name : str
        What QuPath shows beside it.
    measurements : mapping of str to float
    """

    outline_qupath: shapely.Geometry
    class_name: str
    color: Rgb
    rank: int
    name: str
    measurements: Mapping[str, float]


def paths_for(path: Path, slides: Sequence[Path]) -> list[Path]:
    """Return the file of each slide: the one that is named, or with several slides, one for each.

    Of several, a slide's name follows the file's: ``next.geojson`` becomes ``next-A03.geojson``. Of slides of
    one name, each but the first gets its number as well.
    """
    if len(slides) == 1:
        return [path]
    taken: dict[str, int] = {}
    names = []
    for name in map(bare_name, slides):
        taken[name.casefold()] = count = taken.get(name.casefold(), 0) + 1
        names.append(name if count == 1 else f"{name}-{count}")
    return [path.with_name(f"{path.stem}-{name}{path.suffix}") for name in names]


def check_replaceable(path: Path) -> None:
    """Refuse a name that QuPath does not read, and a file that somebody has drawn into.

    Raises
    ------
    OutputError
    """
    if path.suffix.lower() not in (".geojson", ".json"):
        raise OutputError(f"{path}: QuPath reads no file of that name: end it in .geojson")
    if not path.exists():
        return
    try:
        features = read_json(path).value["features"]
        own = all(RANK in feature["properties"]["measurements"] for feature in features)
    except (AnnotationError, LookupError, TypeError):
        own = False
    if not own:
        raise OutputError(f"{path}: holds something else than suggestions: name another file with -o")


def write_drawings(path: Path, drawings: Sequence[Drawing]) -> None:
    """Write annotations; the same ones give the same bytes.

    They are locked: QuPath's brush must not extend them.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    features = [_feature(drawing) for drawing in drawings]
    text = b'{"type":"FeatureCollection","features":[\n' + b",\n".join(features) + b"\n]}\n"
    with replacing(path) as partial:
        partial.write_bytes(text)


def _feature(drawing: Drawing) -> bytes:
    outline = shapely.transform(drawing.outline_qupath, lambda xy: xy.round(DECIMALS))
    return orjson.dumps(
        {
            "type": "Feature",
            "id": outline_id(drawing.class_name, outline),
            "geometry": shapely.geometry.mapping(outline),
            "properties": {
                "objectType": "annotation",
                "name": drawing.name,
                "classification": {"name": drawing.class_name, "color": drawing.color},
                "isLocked": True,
                "measurements": {RANK: drawing.rank, **drawing.measurements},
            },
        }
    )
