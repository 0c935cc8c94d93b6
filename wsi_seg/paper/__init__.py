"""The paper's comparison: its street data sets, the other networks, the benchmark of networks."""
