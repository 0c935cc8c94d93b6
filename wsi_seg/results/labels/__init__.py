"""The label pyramid: OME-NGFF in Zarr."""
