"""Segment the regions of a slide on Dask workers."""
