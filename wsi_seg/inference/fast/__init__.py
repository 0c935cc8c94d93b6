"""Networks rearranged for inference: the same result with less work."""
