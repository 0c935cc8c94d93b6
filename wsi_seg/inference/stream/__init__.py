"""Regions of a slide through Dask workers."""
