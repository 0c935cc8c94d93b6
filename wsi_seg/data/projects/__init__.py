"""QuPath projects: the images that they list, and outlines exported from them."""
