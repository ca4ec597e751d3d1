"""The OpenAPI and AsyncAPI documents of the Widget API, written from the code that serves it.

They lie beside this module and travel with the package: a client in another language is made from
them, and Schemathesis holds the server against them. `support-chat export --write` writes them
anew, `--check` says whether they are what the code says. The same code always gives the same text.
"""

from __future__ import annotations

import json
from typing import Any

from .asyncapi import asyncapi
from .openapi import openapi


def documents() -> dict[str, str]:
    """Every document by the name of its file, as it is written to disk."""
    return {"openapi.json": _text(openapi()), "asyncapi.json": _text(asyncapi())}


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
