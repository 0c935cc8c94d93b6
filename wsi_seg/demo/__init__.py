"""Generated H&E-like tissue with exact truth, and the demo model trained on it."""

DEMO_SEED = 23
"""Seed of the slide that `wsi-seg demo slide` makes; the demo model has not seen it."""
