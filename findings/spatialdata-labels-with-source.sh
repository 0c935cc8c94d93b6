#!/usr/bin/env bash
# spatialdata: labels that name their image, as OME-NGFF has it, are "potentially corrupted".
#
# Versions:  spatialdata 0.7.3, ome-zarr 0.15.0
# Seen:      a store that spatialdata wrote opens. With "source": {"image": "../../images/pic"} added to the
#            `image-label` of its labels, `read_zarr` raises OSError: "len(nodes) = 2, expected 1. Element cells is
#            potentially corrupted. Please report this bug". With a source that is not there, it opens.
# Why:       ome-zarr follows the source to the image, and gives both; spatialdata counts them. Labels made by other
#            programs state a source as the specification asks, so copying them into a store breaks the store.
# Do:        leave `source` out of labels in a SpatialData store.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3.11}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet spatialdata==0.7.3 ome-zarr==0.15.0 zarr==3.1.6
"$dir/venv/bin/python" - "$dir/store.zarr" <<'PYTHON'
import json
import sys
from pathlib import Path

import numpy as np
import spatialdata
from spatialdata.models import Image2DModel, Labels2DModel

print("spatialdata", spatialdata.__version__)
store = Path(sys.argv[1])
picture = Image2DModel.parse(np.zeros((3, 64, 64), dtype=np.uint8), dims=("c", "y", "x"))
cells = Labels2DModel.parse(np.ones((64, 64), dtype=np.uint8), dims=("y", "x"))
spatialdata.SpatialData(images={"pic": picture}, labels={"cells": cells}).write(store)
root = json.loads((store / "zarr.json").read_text())
root.pop("consolidated_metadata", None)  # it would hide the change
(store / "zarr.json").write_text(json.dumps(root))


def read(image):
    """Name an image in the labels' metadata, and read the store: the labels' names, or the error."""
    path = store / "labels/cells/zarr.json"
    document = json.loads(path.read_text())
    document["attributes"]["ome"]["image-label"]["source"] = {"image": image}
    path.write_text(json.dumps(document))
    try:
        return str(list(spatialdata.read_zarr(store).labels))
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"


absent, there = read("../../images/none"), read("../../images/pic")
print("source that is not there:", absent)
print("source that is there:    ", there)
as_stated = absent == "['cells']" and there.startswith("OSError") and "len(nodes) = 2, expected 1" in there
sys.exit(0 if as_stated else "CHANGED: no longer as the header of this script states")
PYTHON
echo "As stated: a source makes sound labels unreadable."
