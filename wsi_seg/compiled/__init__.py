"""C++ sources of ours, compiled once on the machine that they run on, and loaded safely."""
