"""The report of many slides: a page and a table of what became of each."""
