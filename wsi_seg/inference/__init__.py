"""Running a network over images and whole slides."""
