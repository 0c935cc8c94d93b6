"""The annotation formats, one module each: from a file's parsed content to its outlines as drawn."""
