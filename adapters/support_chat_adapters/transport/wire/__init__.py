"""The Widget API as values: its endpoints, payloads, frames, errors and close codes, without a
socket.

`WidgetAPITransport` speaks it, `support-chat serve` answers it, and the OpenAPI and AsyncAPI
documents are written from it: what one of them understands, the others do. Import it where msgspec
is known to be installed (`extras.require`).
"""
