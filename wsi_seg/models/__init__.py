"""Networks, class schemas and the model file."""
