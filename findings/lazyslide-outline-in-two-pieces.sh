#!/usr/bin/env bash
# LazySlide: an outline that reaches over two pieces of tissue is loaded twice, counts twice, and is exported twice.
#
# Versions:  lazyslide 0.13.0, wsidata 0.12.0, spatialdata 0.7.3, geopandas 1.2.0, shapely 2.2.0, Python 3.11
# Seen:      a slide with two pieces of tissue; three outlines in QuPath's GeoJSON: one over both pieces (720,000 px),
#            one within a piece (40,000 px), one beside the tissue (40,000 px).
#            zs.io.load_annotations     four rows; the sum of the first class's areas is 1,440,000 px
#            join_with=[]               three rows, 720,000 px
#            zs.io.export_annotations   four features for three outlines
# Why:       to give each outline the number of its tissue, outlines are joined with the pieces that they intersect,
#            with a row for each pair. On a biopsy in fragments one field gets as many rows as it has fragments,
#            and areas, shares and counts by class go up with them. No warning is given.
# Do:        pass join_with=[], or drop duplicates of id (of geometry, where there is none) after loading.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet lazyslide==0.13.0 wsidata==0.12.0 torch==2.13.0 numpy==2.4.6 geopandas==1.2.0 \
    spatialdata==0.7.3 shapely==2.2.0 tifffile==2026.3.3
cd "$dir"
cat > twice.py <<'PYTHON'
import json
import warnings

import lazyslide
import numpy as np
import tifffile
from shapely.geometry import box, mapping
from wsidata import open_wsi

warnings.simplefilter("ignore")  # what pip's versions deprecate; nothing is said of the outlines (see below)

WIDE, INNER, BESIDE = box(400, 700, 1600, 1300), box(400, 400, 600, 600), box(1800, 1800, 2000, 2000)
PIECES = (slice(300, 900), slice(1100, 1700))


def write_slide(path):
    noise = np.random.default_rng(0).normal(0, 6, (2048, 2048, 3))
    picture = np.full((2048, 2048, 3), 240.0)
    for rows in PIECES:
        picture[rows, 300:1700] = (200, 120, 180)
    tifffile.imwrite(
        path,
        np.clip(picture + noise, 0, 255).astype(np.uint8),
        tile=(256, 256),
        photometric="rgb",
        resolution=(20_000, 20_000),
        resolutionunit="CENTIMETER",
    )


def write_outlines(path):
    drawn = {"Invasive": WIDE, "In situ": INNER, "Fat": BESIDE}
    features = [
        {
            "type": "Feature",
            "id": f"00000000-0000-4000-8000-00000000000{number}",
            "geometry": mapping(shape),
            "properties": {"objectType": "annotation", "classification": {"name": name, "color": [200, 0, 0]}},
        }
        for number, (name, shape) in enumerate(drawn.items())
    ]
    with open(path, "w") as file:
        json.dump({"type": "FeatureCollection", "features": features}, file)


def area(table):
    return int(table[table["classification_name"] == "Invasive"].geometry.area.sum())


write_slide("slide.tiff")
write_outlines("slide.geojson")
slide = open_wsi("slide.tiff", store=None)
lazyslide.pp.find_tissues(slide)
assert len(slide["tissues"]) == len(PIECES), slide["tissues"]

with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    lazyslide.io.load_annotations(slide, "slide.geojson")
lazyslide.io.load_annotations(slide, "slide.geojson", join_with=[], key_added="alone")
lazyslide.io.export_annotations(slide, "annotations", file="again.geojson")
with open("again.geojson") as file:
    ids = [feature["properties"]["id"] for feature in json.load(file)["features"]]

joined, alone = slide["annotations"], slide["alone"]
print(f"loaded: {len(joined)} rows, {area(joined):,} px of Invasive")
print(f"without join_with: {len(alone)} rows, {area(alone):,} px of Invasive")
print(f"exported: {len(ids)} features, {len(set(ids))} ids")
print(f"warnings of LazySlide: {sum('lazyslide' in warning.filename for warning in said)}")
assert (len(joined), area(joined)) == (4, 1_440_000)
assert (len(alone), area(alone)) == (3, 720_000)
assert (len(ids), len(set(ids))) == (4, 3)
assert not [warning for warning in said if "lazyslide" in warning.filename]
PYTHON
"$dir/venv/bin/python" twice.py
echo "as seen: an outline that reaches over two pieces of tissue comes twice"
