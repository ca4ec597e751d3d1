"""Stories of two sessions that share a storage and a backend, whoever tells them.

`moves.MOVES` are what can happen: calls with their options, awaiters that are cancelled, hints,
handlers that call back, time, adapters that are slow, hang, fail, lie or come late, a backend that
drops, refuses, forgets and answers as somebody else. A `world.World` makes them happen, in virtual
time, and `promises` are what must hold after each. `choose` decides about the details: hypothesis
does in `tests/properties`, dice do in `tests/verify`.
"""
