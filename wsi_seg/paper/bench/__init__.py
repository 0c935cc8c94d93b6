"""What networks cost and how fast they run, on this machine."""
