"""The realtime gateway as an AsyncAPI 3.0 document, from its frames and close codes."""

from __future__ import annotations

import inspect
from typing import Any, Final

from ..closing import TERMINAL, CloseCode
from ..endpoints import BASE, ECHOES, OPEN, POLL, REALTIME_TOKEN
from ..frames import FRAMES, MAX_CLIENT_FRAME_BYTES, MAX_FRAME_BYTES
from .schemas import API_VERSION, EXAMPLE_HOST, LICENSE, reference, schemas_of

_ABOUT: Final = f"""\
What the backend tells a session while it is live. Everything that a client asks for goes over HTTP,
as the OpenAPI document says.

- **Opening.** `session_token` in the query is a realtime token, from
  `{OPEN.method} {BASE}{OPEN.path}` or
  `{REALTIME_TOKEN.method} {BASE}{REALTIME_TOKEN.path}`:
  good for one connection, and for a minute. A page whose `Origin` is not on the widget's
  allow-list is refused with 403 before the handshake is done.
- **Replay.** The first frame is a `hello`. With `cursor`, the last one that the client was given,
  the messages missed since then follow in order, each once; `gap` says that some of them are lost.
- **Frames.** A frame is a JSON object in text, of at most {MAX_FRAME_BYTES} bytes. One of a `type`
  that the client does not know is skipped; one of a known type that does not keep to its form
  means dialling again. Of the client's frames a `ping` is answered with a `pong`, and nothing else
  is read; a client answers a `ping` likewise. One longer than {MAX_CLIENT_FRAME_BYTES} bytes ends
  the connection.
- **Echoes.** With `echoes=true` the session's own messages come, too (`own`), and so do read marks
  and changes of the owner; without it, none of these.
- **Closing.** `x-close-codes` of the channel lists why; a code is terminal if dialling again cannot
  mend it, else recoverable.
- **Without WebSocket.** `{POLL.method} {BASE}{POLL.path}` answers with the same frames.
"""


def asyncapi() -> dict[str, Any]:
    """The document."""
    channel = "#/channels/realtime"
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Support chat: realtime gateway of the Widget API",
            "version": API_VERSION,
            "description": _ABOUT,
            "license": {"name": LICENSE["name"]},
        },
        "defaultContentType": "application/json",
        "servers": {
            "local": {
                "host": EXAMPLE_HOST,
                "protocol": "ws",
                "description": "`support-chat serve` on this machine",
                "security": [{"$ref": "#/components/securitySchemes/realtimeToken"}],
            }
        },
        "channels": {"realtime": _channel()},
        "operations": {
            "tell": {
                "action": "send",
                "channel": {"$ref": channel},
                "summary": "The backend tells the client what happens.",
                "messages": [{"$ref": f"{channel}/messages/{_key(name)}"} for name in FRAMES],
            },
            "hear": {
                "action": "receive",
                "channel": {"$ref": channel},
                "summary": "The client asks for a sign of life, or gives one.",
                "messages": [{"$ref": f"{channel}/messages/{name}"} for name in ("ping", "pong")],
            },
        },
        "components": {
            "messages": {_key(name): _message(name) for name in FRAMES},
            "schemas": schemas_of(FRAMES.values()),
            "securitySchemes": {
                "realtimeToken": {
                    "type": "httpApiKey",
                    "in": "query",
                    "name": "session_token",
                    "description": "A realtime token: good for one connection, and for a minute.",
                }
            },
        },
    }


def _channel() -> dict[str, Any]:
    query = {
        "type": "object",
        "required": ["session_token"],
        "properties": {
            "session_token": {"type": "string", "description": "A realtime token."},
            "echoes": {**ECHOES.schema, "description": ECHOES.doc},
            "cursor": {**POLL.query["cursor"].schema, "description": POLL.query["cursor"].doc},
        },
    }
    return {
        "address": f"{BASE}/realtime",
        "description": "One connection of one session.",
        "messages": {
            _key(name): {"$ref": f"#/components/messages/{_key(name)}"} for name in FRAMES
        },
        "bindings": {"ws": {"method": "GET", "query": query, "bindingVersion": "0.1.0"}},
        "x-close-codes": [
            {
                "code": int(code),
                "name": code.name,
                "meaning": code.meaning,
                "terminal": code in TERMINAL,
            }
            for code in CloseCode
        ],
    }


def _message(name: str) -> dict[str, Any]:
    kind = FRAMES[name]
    return {
        "name": name,
        "summary": inspect.getdoc(kind),
        "contentType": "application/json",
        "payload": reference(kind),
    }


def _key(name: str) -> str:
    """The name of a frame as a key, which may not hold a dot."""
    return name.replace(".", "_")
