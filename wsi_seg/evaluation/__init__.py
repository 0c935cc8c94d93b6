"""How well labels agree with what is known: one confusion matrix over everything, and its figures."""
