#!/usr/bin/env bash
# geopandas: a slide's annotations, read from GeoJSON and written as RFC 7946, come out with empty outlines, without a word.
#
# Versions:  geopandas 1.2.0, pyogrio 0.13.0 (GDAL 3.12.4), shapely 2.2.0
# Seen:      a GeoJSON file of polygons in pixels, as QuPath writes it; `read_file`, then `to_file(..., RFC7946="YES")`:
#              1,000 px wide at (20000, 15000)     a MultiPolygon of two empty parts; no warning, no error; area 0
#              70 px wide at (100, 15000)          refused: "Geometry extent outside of [-180.0,180.0]x[-90.0,90.0]"
#              from (100, 10) to (300, 80)         cut at x = 180, what lies beyond it is moved 360 px to the left
#            Without RFC7946 all three stay as they are. Nothing in the file says degrees; `read_file` takes GeoJSON for
#            EPSG:4326 when it says nothing. The RFC has a polygon that crosses 180 degrees cut there, and the writer first
#            cuts all that has an x beyond 180, with the world: of most of a slide nothing is left. What is left
#            is inside the world, so the check that refuses the second polygon finds no fault.
# Why:       RFC 7946 is the GeoJSON standard, and this option is GDAL's way to it (ring directions, for one). A slide's
#            file is overwritten by one that has every feature with its class, and no outline. Only a polygon within
#            180 px of the slide's left border gives an error.
# Do:        leave the option away and orient rings by `shapely.orient_polygons`; or give WRAPDATELINE="NO" beside it,
#            which turns the loss into the error; look at the areas of what was written.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet geopandas==1.2.0 pyogrio==0.13.0 shapely==2.2.0 numpy==2.4.6
cd "$dir"
venv/bin/python - <<'PYTHON'
import json
import sys
import warnings
from pathlib import Path

import geopandas
import pyogrio
import shapely

print(f"geopandas {geopandas.__version__}, pyogrio {pyogrio.__version__}, GDAL {pyogrio.__gdal_version_string__}")
read, written = Path("slide.geojson"), Path("written.geojson")


def after(box, **options):
    """Read a file of one annotation with GeoPandas, write it; return what became of it, and what was warned of."""
    properties = {"objectType": "annotation", "classification": {"name": "Tumor", "color": [200, 0, 0]}}
    geometry = shapely.geometry.mapping(shapely.box(*box))
    feature = {"type": "Feature", "geometry": geometry, "properties": properties}
    read.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    table = geopandas.read_file(read)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            table.to_file(written, driver="GeoJSON", **options)
        except pyogrio.errors.FeatureError as error:
            return "refused" if "outside of [-180.0,180.0]x[-90.0,90.0]" in str(error) else str(error), 0
    feature = json.loads(written.read_text())["features"][0]
    assert feature["properties"]["classification"]["name"] == "Tumor"
    outline = shapely.from_geojson(json.dumps(feature["geometry"]))
    return (outline.geom_type, *outline.bounds) if outline.area else (outline.geom_type, "empty"), len(warned)


anywhere, left, small = (20000, 15000, 21000, 16000), (100, 15000, 170, 16000), (100, 10, 300, 80)
seen = {}
for name, box in (("anywhere", anywhere), ("left", left), ("small", small)):
    for options in ({}, {"RFC7946": "YES"}, {"RFC7946": "YES", "WRAPDATELINE": "NO"}):
        case = name, *options
        seen[case] = after(box, **options)
        print(*case, "->", *seen[case])
stated = {}
for name, box in (("anywhere", anywhere), ("left", left), ("small", small)):
    stated[name,] = ("Polygon", *map(float, box)), 0
    stated[name, "RFC7946", "WRAPDATELINE"] = "refused", 0
stated["anywhere", "RFC7946"] = ("MultiPolygon", "empty"), 0
stated["left", "RFC7946"] = "refused", 0
stated["small", "RFC7946"] = ("MultiPolygon", -180.0, 10.0, 180.0, 80.0), 0
sys.exit(0 if seen == stated else f"CHANGED: no longer as the header of this script states: {seen}")
PYTHON
echo "As stated: the outlines are gone, and nothing was said."
