"""Transports: the ways a session reaches its backend."""

from .loopback import LoopbackTransport

__all__ = ["LoopbackTransport"]
