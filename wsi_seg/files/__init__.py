"""Reading and writing files, whatever they contain."""
