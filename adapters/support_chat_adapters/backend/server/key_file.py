"""The widget's secret beside its database: what `serve` verifies identity tokens with and `token`
signs them with.

A file of its own, readable by its owner alone, so that a copy of the database vouches for nobody.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

from support_chat.errors import InvalidInputError

_LEAST: Final = 32


def identity_secret(path: Path) -> str:
    """The secret in the file at `path`, which is made with mode 0600 if there is none; several
    processes may ask at once.

    Raises InvalidInputError for a file that holds no secret of at least 32 bytes, OSError if it
    cannot be read or made.
    """
    if not path.exists():
        _make(path)
    try:
        secret = path.read_text("utf-8").strip()
    except UnicodeDecodeError:
        secret = ""
    if len(secret.encode()) < _LEAST:
        raise InvalidInputError(
            f"{path.name} holds no secret of at least {_LEAST} bytes; remove it, and a new one is "
            "made."
        )
    return secret


def _make(path: Path) -> None:
    """Writes a whole file and then gives it its name: nobody reads half a secret, and whoever comes
    second keeps the first.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(_LEAST) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
