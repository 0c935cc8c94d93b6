"""Whole-slide histopathology segmentation with ESPNet: from a slide file to class polygons in QuPath."""

__version__ = "0.1.0"
