"""A network, prepared to run on a device."""
