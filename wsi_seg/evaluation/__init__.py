"""How well labels agree with the truth: one confusion matrix over everything, and the scores from it."""
