"""The one sentence that a missing PyJWT is answered with: only signed-in users need it, so it is an extra."""

from __future__ import annotations


def require_pyjwt() -> None:
    """Call this before `import jwt`; raises ModuleNotFoundError with the line that installs it."""
    try:
        import jwt  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            'Identity tokens are signed and verified with PyJWT: pip install "support-chat[backend]".', name="jwt"
        ) from None
