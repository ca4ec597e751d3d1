"""What the library's own tests use, shipped for yours: a loop with virtual time, and doubles for the ports.

Import it in tests only: `from support_chat.testing import VirtualLoop, run`.
"""

from .virtual_loop import DeadlockError, VirtualLoop, Waiter, run

__all__ = ["DeadlockError", "VirtualLoop", "Waiter", "run"]
