"""Networks, class schemas and the self-describing model file."""
