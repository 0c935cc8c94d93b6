"""The rules of QuPath: which files it opens, and which colours it shows."""
