"""A result's OME-Zarr with all of its metadata and no pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import zarr

from wsi_seg.files.document import VERSION
from wsi_seg.models.classes import UNPROCESSED_ID
from wsi_seg.results.labels.ngff_attributes import (
    ATTRIBUTES_VERSION,
    CONFIDENCE,
    OVERVIEW,
    TISSUE,
    WSI_SEG,
    confidence_attributes,
    labels_attributes,
    overview_attributes,
    tissue_attributes,
)
from wsi_seg.results.labels.seals import SEAL
from wsi_seg.results.labels.storage import create_array

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.results.labels.ngff_attributes import JsonObject, PyramidLayout


def lay_out(folder: Path, layout: PyramidLayout, name: str, attributes: JsonObject) -> None:
    """Make the groups and arrays of a result in a new folder.

    Parameters
    ----------
    folder : Path
    layout : PyramidLayout
    name : str
        Name of the overview in viewers.
    attributes : dict
        Further metadata of the labels, JSON-able; see `PyramidWriter.create`.
    """
    own = {
        VERSION: ATTRIBUTES_VERSION,
        **attributes,
        "frames": layout.frames.model_dump(mode="json"),
        "schema": layout.schema.model_dump(mode="json"),
        SEAL: None,
    }
    groups = {
        OVERVIEW: overview_attributes(layout, name),
        "labels": labels_attributes(layout),
        TISSUE: {**tissue_attributes(layout), WSI_SEG: own},
    }
    if layout.confidence:
        groups[CONFIDENCE] = confidence_attributes(layout)
    for group, content in groups.items():
        zarr.create_group(folder / group, zarr_format=layout.zarr_format, attributes=content)
    for level in range(layout.levels):
        create_array(folder / str(level), layout, layout.overview_shape(level), fill_value=0)
        for image in layout.label_images:
            fill_value = UNPROCESSED_ID if image == TISSUE else 0
            create_array(folder / image / str(level), layout, layout.label_shape(level), fill_value)
