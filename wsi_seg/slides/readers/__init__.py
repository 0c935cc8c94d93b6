"""Who decodes a slide file, and what is refused by name."""
