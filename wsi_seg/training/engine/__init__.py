"""The loop: stages, steps, losses, validation, checkpoints."""
