"""Transports: the ways a session reaches its backend.

`LoopbackTransport` speaks to a backend in this process, `WidgetAPITransport` to one on the network.
The latter stands on libraries that are an extra, so it is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .loopback import LoopbackTransport

__all__ = ["LoopbackTransport", "WidgetAPITransport"]

if TYPE_CHECKING:
    from .widget_api import WidgetAPITransport
else:  # hidden from type checkers, which would otherwise take every misspelt name for this class

    def __getattr__(name: str) -> type[WidgetAPITransport]:
        if name == "WidgetAPITransport":
            from ..extras import require

            for module in ("httpx2", "msgspec", "websockets"):
                require(
                    module,
                    extra="widget-api",
                    purpose="WidgetAPITransport speaks HTTP and WebSocket with httpx2 and "
                    "websockets",
                )
            from .widget_api import WidgetAPITransport

            return WidgetAPITransport
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
