"""What a run leaves behind: label pyramid, polygons, overview, summary."""
