"""Networks rearranged for inference: the same function, less work."""
