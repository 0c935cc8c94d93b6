"""Generated H&E-like tissue with exact truth, and the demo model trained on it."""
