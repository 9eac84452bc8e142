"""Measurements of QDA beside its peers, in one run, as ratios."""
