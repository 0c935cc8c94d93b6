"""Areas, borders, components and distances of classes, in regions of a result: on label pixels, by tiles."""
