"""A result as a SpatialData store, which `spatialdata.read_zarr` opens: labels, polygons and a picture.

It is written by zarr and pyarrow: the package `spatialdata` needs an older Dask than the one that runs here.
"""
