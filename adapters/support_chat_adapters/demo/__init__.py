"""The demo behind `support-chat demo`: the whole lifecycle, played against the embedded backend,
with every step checked.
"""
