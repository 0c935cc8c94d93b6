"""The readers that decode slide files, and the kinds of files that are refused, each with its reason."""
