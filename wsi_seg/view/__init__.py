"""Results, slides and trainings in the browser: a server for this machine alone, which writes nothing."""
