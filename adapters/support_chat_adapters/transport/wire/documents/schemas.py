"""What the two documents share: the schemas of payloads and frames as JSON Schema 2020-12, and what
is said of the API as a whole.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from support_chat.values import JSON

from ..problems import CODES

API_VERSION: Final = "1.0.0"
"""The version of the Widget API that the documents describe; it changes with the API, not with each
release of the package.
"""
LICENSE: Final[dict[str, JSON]] = {"name": "MIT", "identifier": "MIT"}
"""Under which licence."""
EXAMPLE_HOST: Final = "127.0.0.1:8787"
"""Where `support-chat serve` listens when it is told nothing else."""


def reference(kind: type[msgspec.Struct]) -> dict[str, JSON]:
    """A reference to the schema of a struct."""
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def schemas_of(kinds: Iterable[type[msgspec.Struct]]) -> dict[str, Any]:
    """The schemas of these structs and of all that they hold, by name in alphabetical order."""
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    # a client takes words that it does not know; a server says none of its own
    if "Problem" in schemas:
        schemas["Problem"]["properties"]["code"] = {"enum": sorted(CODES)}
    for schema in schemas.values():
        if "description" in schema:  # a docstring, which is indented from its second line on
            schema["description"] = inspect.cleandoc(schema["description"])
    return dict(sorted(schemas.items()))
