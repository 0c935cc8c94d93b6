"""Pages for a browser: one template that all begin with, one style, one script, and how they are filled."""
