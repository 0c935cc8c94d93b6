"""The result of a run: label pyramid, polygons, overview, summary."""
