"""Who is asking: the address of a caller, also behind proxies, which are believed only where they
are named.

Each proxy appends to `X-Forwarded-For` the address that it was asked from, so the list is true from
its right end, as far as those who wrote it are named; what stands further left is whatever the
client liked to write.
"""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Iterable
from typing import Final, TypeAlias

import attrs
from starlette.requests import HTTPConnection

from support_chat.errors import InvalidInputError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

UNKNOWN: Final = "unknown"
"""Stands for callers without an address of the Internet, who share what one address gets."""
_REQUEST_ID: Final = re.compile(r"[\w.-]{8,64}", re.ASCII)
_HOUSEHOLD: Final = 64
"""The leading bits of an IPv6 address that one customer of a provider has; they choose the rest."""


@attrs.frozen
class Proxies:
    """The proxies that are believed about whom they were asked by: addresses and networks
    (`10.0.0.0/8`). None is, unless it is named.
    """

    networks: tuple[Network, ...] = ()

    @classmethod
    def named(cls, names: Iterable[str]) -> Proxies:
        """The proxies of these names; raises InvalidInputError for what is no address or
        network.
        """
        try:
            return cls(tuple(ipaddress.ip_network(name.strip()) for name in names))
        except ValueError as error:
            raise InvalidInputError(
                f"{error}; name each proxy by its address or network, as in 127.0.0.1,10.0.0.0/8."
            ) from None

    def include(self, host: str) -> bool:
        """Whether this is the address of a named proxy."""
        address = _address(host)
        return address is not None and self._named(address)

    def caller(self, connection: HTTPConnection) -> str:
        """Whom a request comes from, as callers are told apart for limits: an IPv4 address, or the
        /64 network of an IPv6 address.
        """
        address = _address(connection.client.host) if connection.client else None
        if address is not None and self._named(address):
            address = self._forwarded(address, connection.headers.getlist("x-forwarded-for"))
        return UNKNOWN if address is None else household(address)

    def request_id(self, connection: HTTPConnection) -> str:
        """The id of a request: that of a named proxy, if it is 8 to 64 letters, digits, `.`, `_`
        and `-`; else a new one.
        """
        brought = connection.headers.get("x-request-id", "")
        believed = connection.client is not None and self.include(connection.client.host)
        return brought if believed and _REQUEST_ID.fullmatch(brought) else uuid.uuid4().hex

    def _forwarded(self, proxy: Address, lines: list[str]) -> Address:
        """The rightmost address in the list that is no named proxy. Where the list is over, or goes
        on with what is no address, it is that of the last proxy on the way.
        """
        for hop in reversed(",".join(lines).split(",")):
            address = _address(hop.strip())
            if address is None:
                return proxy
            if not self._named(address):
                return address
            proxy = address
        return proxy

    def _named(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def household(address: Address) -> str:
    """What is one caller for limits."""
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, _HOUSEHOLD), strict=False))


def household_of(host: str) -> str:
    """As `household`, of an address as text."""
    address = _address(host)
    return UNKNOWN if address is None else household(address)


def _address(text: str) -> Address | None:
    """The address in a text, also with a port (`192.0.2.1:80`, `[2001:db8::1]:80`) or as an IPv6
    address that stands for an IPv4 one.
    """
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
