"""A URL that is sent whole and shown in part: httpx2 writes the URL of every request to its log,
query and password included.
"""

from __future__ import annotations

import httpx2


class UnloggedURL(httpx2.URL):
    """Shows scheme, host, port and path; its query, its fragment and its userinfo go to the server
    and nowhere else.
    """

    def __str__(self) -> str:
        return shown(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({shown(self)!r})"


def shown(url: httpx2.URL) -> str:
    """The URL as errors, logs and `repr` show it."""
    return str(httpx2.URL(scheme=url.scheme, host=url.host, port=url.port, path=url.path))
