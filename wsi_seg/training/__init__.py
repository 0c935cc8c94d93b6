"""Training: from pictures whose pixels' classes are known to a model file."""
