"""A chat client for a terminal: a `SupportChat` over the network, with its phase in sight, for
people and for pipes.

It decides nothing about the session's life. What happens becomes lines (`lines.py`) and a status
(`status.py`), both by pure functions; what a person types becomes a command (`commands.py`), which
the controller performs on the session (`controller.py`); a shell (`screen.py` with prompt-toolkit,
`piped.py` with plain text or JSON) shows the one and reads the other.
"""
