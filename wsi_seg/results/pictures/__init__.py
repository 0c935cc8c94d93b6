"""The overview picture and what is drawn on it."""
