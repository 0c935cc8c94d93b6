"""Training: from slides or images with annotations or masks to a model file."""
