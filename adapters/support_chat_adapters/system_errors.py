"""What the system says of an address that cannot be used: the error at the bottom of a client
library's, which may show credentials in its own words where the system shows none.
"""

from __future__ import annotations

import os
import socket
import ssl
from typing import cast


def system_error(error: BaseException | None) -> OSError | None:
    """What the operating system or its TLS said first; None if they said nothing."""
    while error is not None and not (isinstance(error, OSError) and error.errno is not None):
        if isinstance(error, BaseExceptionGroup):  # the addresses of a host, one after the other
            error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
        else:
            error = error.__cause__ or error.__context__
    return error


def reason_of(cause: OSError | None) -> str:
    """Its words: `Connection refused`, `self-signed certificate`."""
    match cause:
        case ssl.SSLCertVerificationError():
            return cause.verify_message
        case ssl.SSLError():
            return cause.reason or "TLS broke off"
        case socket.gaierror():
            return str(cause.strerror)
        case OSError():
            return os.strerror(cause.errno or 0)
        case None:
            return "it broke off"
