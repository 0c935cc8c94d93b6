"""A network made ready to run on a device."""
