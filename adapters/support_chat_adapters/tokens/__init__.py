"""Token providers: where a session gets its identity tokens. Your own is any function that returns
one.
"""

from .http import HTTPTokenProvider
from .static import StaticToken

__all__ = ["HTTPTokenProvider", "StaticToken"]
