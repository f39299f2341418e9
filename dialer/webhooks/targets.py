"""Where messages may go: public addresses only, looked at when the connection is made.

A name may lead anywhere, and elsewhere a moment later. So what is checked is the address that a socket is being made
for, after the name was resolved; there is no second look at the name between the check and the connection.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

from yarl import URL

from dialer.errors import FieldError

#: Characters of a URL.
LONGEST_URL = 2000
_WELL_KNOWN = frozenset({80, 443})
_FIRST_OPEN_PORT = 1024
#: Ways of IPv4 inside IPv6, which lead where only their translator knows; and what no standard calls private.
_REFUSED = tuple(
    map(
        ipaddress.ip_network,
        (
            "192.0.0.0/24",  # protocol assignments; the metadata of one cloud
            "192.88.99.0/24",  # relays of 6to4
            "168.63.129.16/32",  # the host of every machine in Azure
            "2001::/23",  # Teredo and other protocols
            "2002::/16",  # 6to4
        ),
    )
)
#: All that is routed to anybody in IPv6; NAT64 (64:ff9b::/96), unique local and link-local addresses are outside.
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


class ForbiddenTargetError(OSError):
    """The address is not a public one."""

    def __init__(self) -> None:
        super().__init__("the address is not public")


def is_public(address: str) -> bool:
    """Whether an IP address is anybody's on the internet: not this host, a private network, a cloud's metadata."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return is_public(str(found.ipv4_mapped))
        if found not in _GLOBAL_UNICAST:
            return False
    if any(found in network for network in _REFUSED if network.version == found.version):
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


def guarded_socket(allow_private: bool) -> Callable[[Any], socket.socket]:
    """What makes sockets for a connector: for each address that is about to be connected to. The socket is not made
    (`ForbiddenTargetError`) for one that is not public."""

    def make(info: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
        family, kind, protocol, _, address = info
        if not allow_private and not is_public(str(address[0])):
            raise ForbiddenTargetError
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    return make


def checked_url(text: str, *, needs_https: bool, allow_private: bool) -> str:
    """The URL of an endpoint. Raises `FieldError`."""
    if len(text) > LONGEST_URL:
        raise FieldError("url", f"url is longer than {LONGEST_URL} characters: shorten it.")
    try:
        url = URL(text)
        host, port = url.host, url.port
    except ValueError:
        raise FieldError("url", "url is no web address: write it as https://app.example.com/path.") from None
    if url.scheme not in ("http", "https") or not host or any(ord(one) <= 32 for one in text):
        raise FieldError("url", "url is no web address: write it as https://app.example.com/path.")
    if needs_https and url.scheme != "https":
        raise FieldError("url", "url does not begin with https://: messages are sent over TLS only.")
    if url.user is not None or url.password is not None:
        raise FieldError("url", "url holds a user or a password: leave them out and check the signature.")
    if url.raw_fragment:
        raise FieldError("url", "url holds a #fragment, which no server sees: leave it out.")
    if port is None or (port not in _WELL_KNOWN and port < _FIRST_OPEN_PORT):
        raise FieldError("url", "url names a port that is not allowed: use 80, 443, or 1024 and above.")
    if not allow_private and _is_plainly_private(host):
        raise FieldError("url", "url does not lead to a public address: use one that the internet reaches.")
    return str(url)


def _is_plainly_private(host: str) -> bool:
    """Whether that can be seen without resolving it."""
    name = host.rstrip(".").lower()
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        # Whose last part is a number is an address in one of the old ways of writing it, such as 0x7f.1.
        last = name.rpartition(".")[2]
        is_number = last.isdigit() or last.startswith("0x")
        return is_number or name == "localhost" or name.endswith((".localhost", ".local", ".internal"))
    return not is_public(name)
