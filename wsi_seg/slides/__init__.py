"""Slides: opening them, their coordinate frames, tissue masks and the patch lattice."""
