"""The overview picture and its parts."""
