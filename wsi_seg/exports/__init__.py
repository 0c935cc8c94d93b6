"""Finished results in the formats of other programs: a file or a folder for each, and one table of them.

To add a format, write a `Prepare` and put it into the table of `formats.py`. What it asks of a user is a
field of `Options`, which `cli/export.py` has an option for.
"""
