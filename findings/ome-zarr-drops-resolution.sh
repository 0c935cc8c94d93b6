#!/usr/bin/env bash
# ome-zarr: an image is written without the resolution that its writer was given, and nothing is said.
#
# Versions:  ome-zarr 0.21.0 (zarr 3.4.2); 0.18.0 likewise, but for units in write_multiscale
# Seen:      write_image with axes as dictionaries, each with its unit, as NGFF 0.5 has them: the units are left
#            out of the file. Given coordinate_transformations as well (deprecated, and "it takes precedence over
#            scale"), a scale of 0.5 becomes 1.0. write_multiscale keeps the scale, and leaves the units out.
#            With axes by name, axes_units and scale, both are there.
# Why:       the result is a valid OME-Zarr. Readers see pixels of 1.0 without a unit, and those who take that for
#            a micrometre measure wrong by a factor of two (areas of four).
# Do:        write_image(image, group, axes="cyx", scale={"y": 0.5, "x": 0.5}, axes_units={"y": "micrometer",
#            "x": "micrometer"}), and look at the metadata; in reading, take no scale without a unit.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# ome-zarr 0.21 with zarr 3.4 wants Python 3.12 or newer.
PYENV_VERSION=${PYENV_VERSION:-3.12} "${PYTHON:-python3.12}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet ome-zarr==0.21.0 zarr==3.4.2 numpy==2.5.5
cd "$dir"
venv/bin/python -W ignore - <<'PYTHON'
import importlib.metadata
import json
import sys
from pathlib import Path

import numpy as np
import zarr
from ome_zarr.writer import write_image, write_multiscale

print("ome-zarr", importlib.metadata.version("ome-zarr"), "zarr", zarr.__version__)
UM = "micrometer"
AXES = [{"name": "c", "type": "channel"}] + [{"name": axis, "type": "space", "unit": UM} for axis in "yx"]
SCALE = {"y": 0.5, "x": 0.5}
TWO = [[{"type": "scale", "scale": [1, 0.5 * step, 0.5 * step]}] for step in (1, 2)]
rgb = np.random.default_rng(0).integers(0, 255, (3, 128, 128), dtype=np.uint8)


def written(name, write):
    """Return the unit and the scale of x that came to be in the file."""
    write(zarr.open_group(name, mode="w"))
    (image,) = json.loads((Path(name) / "zarr.json").read_text())["attributes"]["ome"]["multiscales"]
    first = image["datasets"][0]["coordinateTransformations"][0]
    found = image["axes"][-1].get("unit"), first["scale"][-1]
    print(f"{name}: unit {found[0]}, scale {found[1]:g}")
    return found


given = {"scale_factors": [2]}
seen = [
    written("units in axes", lambda g: write_image(rgb, g, axes=AXES, scale=SCALE, **given)),
    written(
        "units in axes, transformations",
        lambda g: write_image(rgb, g, axes=AXES, coordinate_transformations=TWO, **given),
    ),
    written(
        "write_multiscale",
        lambda g: write_multiscale([rgb, rgb[:, ::2, ::2]], g, axes=AXES, coordinate_transformations=TWO),
    ),
    written(
        "axes_units",
        lambda g: write_image(rgb, g, axes="cyx", scale=SCALE, axes_units={"y": UM, "x": UM}, **given),
    ),
]
as_stated = seen == [(None, 0.5), (None, 1.0), (None, 0.5), (UM, 0.5)]
sys.exit(0 if as_stated else "CHANGED: no longer as the header of this script states")
PYTHON
echo "As stated: units in axes, and scales in transformations, do not reach the file."
