"""The cost and the speed of networks on this machine."""
