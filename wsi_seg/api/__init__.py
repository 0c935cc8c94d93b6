"""The public functions and classes, each in a file of its own; `wsi_seg` itself exports their names."""
