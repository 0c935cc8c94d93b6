"""Say as JSON what `spatialdata` finds in a store; run by the Python of an environment that has it."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import spatialdata
from spatialdata.transformations import get_transformation


def described(path: str) -> dict[str, Any]:
    store = spatialdata.read_zarr(path)
    rasters = {}
    for _, name, element in store.gen_spatial_elements():
        if name in store.shapes:
            continue
        levels = [element[level]["image"] for level in element] if hasattr(element, "children") else [element]
        system = get_transformation(element, get_all=True)
        (matrix,) = [one.to_affine_matrix(("x", "y"), ("x", "y")).tolist() for one in system.values()]
        values = np.asarray(levels[0].data)
        rasters[name] = {
            "dims": list(levels[0].dims),
            "shapes": [list(level.shape) for level in levels],
            "channels": [str(c) for c in levels[0].coords["c"].values] if "c" in levels[0].dims else None,
            "systems": list(system),
            "to_um": matrix,
            "sum": int(values.sum(dtype=np.int64)),
            "first": values[..., :4, :4].tolist(),
        }
    shapes = {}
    for name, table in store.shapes.items():
        (moved,) = [
            spatialdata.transform(table, to_coordinate_system=system)
            for system in get_transformation(table, get_all=True)
        ]
        shapes[name] = {
            "ids": list(table["id"]),
            "classes": list(map(str, table["class"])),
            "area_um2": list(table["area_um2"]),
            "areas": moved.geometry.area.to_list(),
        }
    return {
        "version": spatialdata.__version__,
        "systems": store.coordinate_systems,
        "attrs": dict(store.attrs),
        "rasters": rasters,
        "shapes": shapes,
    }


if __name__ == "__main__":
    print(json.dumps(described(sys.argv[1])))
