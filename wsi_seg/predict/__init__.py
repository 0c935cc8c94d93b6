"""From a slide to its result: planned, run, resumed, finished; and many slides in a batch."""
