"""What the paper compares: its street data sets, the other networks, the benchmark of networks."""
