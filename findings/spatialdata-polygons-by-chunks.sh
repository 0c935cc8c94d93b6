#!/usr/bin/env bash
# spatialdata: polygons of the same labels differ 2.6 times in area by the chunks of the array, and all lie half a pixel off.
#
# Versions:  spatialdata 0.8.0, scikit-image 0.26.0, shapely 2.2.0, dask 2026.8.0, Python 3.12
# Seen:      labels of 400 x 400 pixels: a ring of 39,260 px around a disc of 7,860 px. `to_polygons`, by side of the chunks:
#              400 (one chunk)   ring: area 102,115, a MultiPolygon that is not valid, and that covers the disc
#              256, 128, 64      ring: 39,258; 39,255.5; 39,246.5, valid, with its hole
#            A hole becomes a polygon of its own that adds to the area. Only where a chunk's border runs through the
#            label does `dissolve` mend it, as a side effect; a label with a hole within one chunk stays wrong.
#            By any chunks, the class that fills the labels reaches from -0.5 to 399.5, while get_extent of the same
#            labels says 0 to 400: every outline lies half a pixel up and to the left. Where a pixel of the labels is 16 of the
#            slide, that is 8 pixels of the slide.
# Why:       a hole within a label is the exception for cells, for which this was made, and the rule for classes of tissue.
#            Areas, and what lies in them, depend on how the array was stored; a small array, in one chunk, differs from a slide.
# Do:        make polygons by rasterio.features.shapes (one for each class, holes in place), or take those that come with
#            the labels; compare their area with the count of pixels.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
PYENV_VERSION=${PYENV_VERSION:-3.12} "${PYTHON:-python3.12}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet spatialdata==0.8.0 scikit-image==0.26.0 shapely==2.2.0 dask==2026.8.0
"$dir/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import dask.array as da
import numpy as np
import shapely
import spatialdata
from spatialdata.models import Labels2DModel

print("spatialdata", spatialdata.__version__)
SIDE, DISC, RING = 400, 1, 2
y, x = np.mgrid[:SIDE, :SIDE] + 0.5
radius = np.hypot(y - SIDE / 2, x - SIDE / 2)
labels = np.select([radius < 50, (radius > 100) & (radius < 150)], [DISC, RING]).astype(np.int32)
seen = {"pixels": [int((labels == label).sum()) for label in (DISC, RING)]}
print("pixels of disc and ring:", seen["pixels"])
for chunks in (400, 256, 128, 64):
    element = Labels2DModel.parse(da.from_array(labels, chunks=chunks), dims=("y", "x"))
    polygons = spatialdata.to_polygons(element).geometry
    ring = polygons.loc[RING]
    covers = bool(ring.contains(shapely.Point(SIDE / 2, SIDE / 2)))
    seen[chunks] = float(polygons.loc[DISC].area), float(ring.area), bool(ring.is_valid), covers
    print(f"chunks of {chunks}: disc {seen[chunks][0]}, ring {seen[chunks][1]}, valid {ring.is_valid}, covers the disc {covers}")
    full = Labels2DModel.parse(da.ones((SIDE, SIDE), dtype=np.int32, chunks=chunks), dims=("y", "x"))
    seen["corners", chunks] = tuple(map(float, spatialdata.to_polygons(full).geometry.iloc[0].bounds))
    seen["extent", chunks] = tuple(float(end) for axis in "xy" for end in spatialdata.get_extent(full)[axis])
print("labels of one class: polygon", seen["corners", 400], "extent", seen["extent", 400])
stated = {"pixels": [7860, 39260], 400: (7859.5, 102115.0, False, True), 256: (7859.5, 39258.0, True, False)}
stated |= {128: (7859.5, 39255.5, True, False), 64: (7858.0, 39246.5, True, False)}
stated |= {("corners", chunks): (-0.5, -0.5, 399.5, 399.5) for chunks in (400, 256, 128, 64)}
stated |= {("extent", chunks): (0.0, 400.0, 0.0, 400.0) for chunks in (400, 256, 128, 64)}
sys.exit(0 if seen == stated else f"CHANGED: no longer as the header of this script states: {seen}")
PYTHON
echo "As stated: the chunks decide the polygons, and all lie half a pixel off."
