"""Polygons of labels, and their GeoJSON."""
