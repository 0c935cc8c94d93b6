"""Polygons drawn from labels, and their GeoJSON."""
