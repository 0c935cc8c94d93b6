"""What QuPath accepts, and how it shows it."""
