"""What the terminal programs share: what a terminal can show (`terminal`), and a session's events
in words (`events`). Only the standard library is needed.
"""
