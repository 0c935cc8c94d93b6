"""Where to outline next: windows of slides that would teach a model most."""
