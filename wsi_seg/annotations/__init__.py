"""Annotation files, and their shapes on label pixels."""
