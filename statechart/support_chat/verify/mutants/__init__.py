"""Mutants of a chart: every single edit of it, and who notices.

`edits` makes them, `judging` judges one, `equivalence` says of what nobody has noticed whether
there is anything to notice, `results` keeps what is known.
"""
