"""The networks that ESPNet is compared with, each from its own paper."""
