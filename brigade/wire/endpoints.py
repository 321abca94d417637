"""Where the sockets of a run are: all derived from the one address that people type.

From a base ``tcp://HOST:P``: control at P, weights at P+1, experience of slot i at P+2+i. From a
base ``ipc://PATH``: PATH, ``PATH-weights``, ``PATH-experience-i``.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace

MAX_SLOTS = 4096
# A socket's path has at most 104 bytes on some systems (108 on Linux), its suffix among them.
MAX_PATH_BYTES = 80


class AddressError(ValueError):
    """An address that cannot be used: one line that names it and the way out."""


@dataclass(frozen=True)
class Endpoint:
    """The base address of a run's sockets."""

    scheme: str  # "tcp" or "ipc"
    place: str  # host (an IPv6 address in brackets), or path
    port: int = 0  # 0 with ipc

    @classmethod
    def parse(cls, address: str) -> Endpoint:
        """Read ``tcp://HOST:PORT``, ``tcp://[IPV6]:PORT`` or ``ipc://PATH``.

        Raises
        ------
        AddressError
            It is none of them, or the ports that follow from PORT do not exist.
        """
        tcp = re.fullmatch(r"tcp://([\w.-]+|\*|\[.+\]):(\d{1,5})", address, re.ASCII)
        if tcp:
            host, port = tcp.group(1), int(tcp.group(2))
            if not 1 <= port <= 65535 - 2:
                raise AddressError(f"{address!r}: the port must lie between 1 and {65535 - 2}")
            if host.startswith("["):
                _check_ipv6(address, host)
            return cls("tcp", host, port)
        ipc = re.fullmatch(r"ipc://(.+)", address, re.DOTALL)
        if ipc:
            try:
                size = len(ipc.group(1).encode())
            except UnicodeEncodeError:  # bytes of another encoding
                raise AddressError(f"{address!r}: the path of an ipc address is UTF-8") from None
            if size > MAX_PATH_BYTES:
                raise AddressError(
                    f"{address!r}: the path of an ipc address has at most {MAX_PATH_BYTES} bytes"
                )
            return cls("ipc", ipc.group(1))
        raise AddressError(
            f"{address!r} is not an address such as tcp://HOST:5750, tcp://[::1]:5750 or ipc://PATH"
        )

    @property
    def num_slots(self) -> int:
        """Experience sockets that there can be at once."""
        ports = 65535 - (self.port + 2) + 1
        return min(MAX_SLOTS, ports) if self.scheme == "tcp" else MAX_SLOTS

    @property
    def control(self) -> str:
        """Where learners say hello."""
        return self.at("")

    @property
    def weights_suffix(self) -> str:
        """What a welcome says of the weights socket: a port, or the path's suffix."""
        return str(self.port + 1) if self.scheme == "tcp" else "-weights"

    def experience_suffix(self, slot: int) -> str:
        """What a welcome says of a slot's experience socket.

        Raises
        ------
        AddressError
            There is no such port.
        """
        if self.scheme == "ipc":
            return f"-experience-{slot}"
        port = self.port + 2 + slot
        if port > 65535 or slot >= MAX_SLOTS:
            raise AddressError(f"no port is left for learner slot {slot} behind {self.control}")
        return str(port)

    def at(self, suffix: str) -> str:
        """Full address of a socket, given its suffix from a welcome ("" is control).

        Raises
        ------
        AddressError
            The suffix is not one that this kind of address can have.
        """
        if self.scheme == "tcp":
            port = suffix or str(self.port)
            if not re.fullmatch(r"\d{1,5}", port) or not 1 <= int(port) <= 65535:
                raise AddressError(f"{suffix!r} is not a port")
            return f"tcp://{self.place}:{port}"
        if not re.fullmatch(r"[\w-]*", suffix):
            raise AddressError(f"{suffix!r} is not the suffix of an ipc address")
        return f"ipc://{self.place}{suffix}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.scheme == "ipc" or self.place == "localhost":
            return True
        number = self._number
        if isinstance(number, ipaddress.IPv6Address):
            number = number.ipv4_mapped or number
        return number is not None and number.is_loopback

    @property
    def from_here(self) -> Endpoint:
        """The same sockets as this machine reaches them, where all of its addresses are bound."""
        number = self._number
        if self.place == "*" or (number is not None and number.is_unspecified):
            return replace(self, place="[::1]" if self.place.startswith("[") else "127.0.0.1")
        return self

    @property
    def _number(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The host as a number; None for a name, which may lead anywhere."""
        try:
            return ipaddress.ip_address(self.place.strip("[]"))
        except ValueError:
            return None


def _check_ipv6(address: str, host: str) -> None:
    try:
        number = ipaddress.IPv6Address(host.strip("[]"))
    except ValueError:
        raise AddressError(f"{address!r}: {host} is not an IPv6 address in brackets") from None
    if number.is_link_local and number.scope_id is None:
        raise AddressError(
            f"{address!r}: a link-local address needs its interface, such as [fe80::1%eth0]"
        )
