"""From a slide to its result: plan, run, resume, finish; and batches of many slides."""
