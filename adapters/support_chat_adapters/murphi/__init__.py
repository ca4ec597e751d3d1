"""A chart and its ledger in the language of Murphi, so that a checker which others wrote, Rumur,
counts its states and judges its properties.

The text is written from what the chart declares, and from nothing that this package's own checker
(`support_chat.verify`) works out: it shares the declaration with it and, on purpose, no line of how
a step is taken. What a step is says `docs/chart-semantics.md`.
"""
