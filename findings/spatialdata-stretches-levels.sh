#!/usr/bin/env bash
# spatialdata: coarser levels of an OME-Zarr are stretched to the size of the finest; the scale that is stated counts for nothing.
#
# Versions:  spatialdata 0.7.3, ome-zarr 0.15.0, zarr 3.1.6
# Seen:      labels 1025 px wide, and three levels of every second pixel: 513, 257, 129. Each states its scale: 2, 4,
#            8. The last pixel of level 3 begins at 1024 by that, so its centre is 1028. `read_zarr` puts it at
#            1021.03: it takes 1025/129 = 7.946 for the scale. Doubling the stated scales changes nothing.
# Why:       sizes that are halved and rounded up, as many writers do, are the rule. What is measured on a coarser
#            level lies up to a pixel of that level off at the far side, and nothing says so.
# Do:        measure on scale0, or place coarser levels yourself by the scales in the metadata.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3.11}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet spatialdata==0.7.3 ome-zarr==0.15.0 zarr==3.1.6
"$dir/venv/bin/python" - "$dir" <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
import spatialdata
import zarr

print("spatialdata", spatialdata.__version__)
LEVELS = 4
labels = np.zeros((1025, 1025), dtype=np.uint8)


def placed(name, factor):
    """Write a pyramid that states scales of `factor` ** level; return where level 3 and its last pixel come to lie."""
    store = Path(sys.argv[1]) / name
    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
    to_global = {
        "type": "identity",
        "input": {"name": "yx", "axes": axes},
        "output": {"name": "global", "axes": axes},
    }
    datasets = [
        {"path": str(k), "coordinateTransformations": [{"type": "scale", "scale": [float(factor) ** k] * 2}]}
        for k in range(LEVELS)
    ]
    multiscale = {"name": "cells", "axes": axes, "datasets": datasets, "coordinateTransformations": [to_global]}
    ome = {"version": "0.5-dev-spatialdata", "multiscales": [multiscale], "image-label": {"version": "0.5"}}
    zarr.create_group(store, zarr_format=3, attributes={"spatialdata_attrs": {"version": "0.2"}})
    zarr.create_group(store / "labels", zarr_format=3, attributes={"ome": {"labels": ["cells"]}})
    attributes = {"ome": ome, "spatialdata_attrs": {"version": "0.3"}}
    zarr.create_group(store / "labels/cells", zarr_format=3, attributes=attributes)
    for k in range(LEVELS):
        level = labels[:: 2**k, :: 2**k]
        zarr.create_array(store / "labels/cells" / str(k), data=level, chunks=(256, 256))
    coarsest = spatialdata.read_zarr(store).labels["cells"]["scale3"]["image"]
    return coarsest.shape[1], float(coarsest.coords["x"][-1])


width, centre = placed("two.zarr", 2)
_, doubled = placed("four.zarr", 4)
stated = 8 * (width - 1) + 4
print(f"level 3 is {width} px wide; the centre of its last pixel: {stated} by the scale that is stated, {centre:.2f} read")
print(f"with scales of 4 ** level: {doubled:.2f}")
as_stated = width == 129 and stated == 1028 and abs(centre - 1021.03) < 0.01 and doubled == centre
sys.exit(0 if as_stated else "CHANGED: no longer as the header of this script states")
PYTHON
echo "As stated: the sizes of the arrays decide where coarser levels lie."
