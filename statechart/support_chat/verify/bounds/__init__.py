"""How long a call can wait, whatever the adapters do: computed from the limits that a chart
declares, over every state that it can reach.

`bounds(space, settings)` is the way in. What lasts how long is in `durations`, what somebody can
wait for in `waiting`, how the longest wait is found in `longest`, and what is asked in `calls`.
"""

from .calls import Bound, Bounds, Limit, Told, bounds
from .durations import Term
from .longest import Longest

__all__ = ["Bound", "Bounds", "Limit", "Longest", "Term", "Told", "bounds"]
