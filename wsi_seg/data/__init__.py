"""Read data sets: annotated slides, and images with masks."""
