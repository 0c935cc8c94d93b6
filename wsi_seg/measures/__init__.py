"""Areas, borders, islands and distances of classes, in regions of a result: by label pixels, tile by tile."""
