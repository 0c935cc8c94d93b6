"""Results and slides in the browser: a server for this machine alone, which writes nothing."""
