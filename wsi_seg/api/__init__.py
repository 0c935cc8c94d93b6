"""The public functions and classes, a file each; `wsi_seg` itself gives their names."""
