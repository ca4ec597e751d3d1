"""The one sentence that a missing PyJWT is answered with: only signed-in users need it, so it is an
extra.
"""

from __future__ import annotations

from ..extras import require


def require_pyjwt() -> None:
    """Call this before `import jwt`; raises ModuleNotFoundError with the line that installs it."""
    require("jwt", extra="backend", purpose="Identity tokens are signed and verified with PyJWT")
