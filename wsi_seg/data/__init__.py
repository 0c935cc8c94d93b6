"""Reading annotations and data sets."""
