"""Where the host of an address leads: whether its name is known, and to which internet protocol."""

from __future__ import annotations

import socket
import threading

from brigade.wire.endpoints import Endpoint


class Unresolved(RuntimeError):
    """A name leads nowhere for now: one line that names it and says why."""


class Resolver:
    """Looks up an address's host, beside the caller: a name server that is silent takes long."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._thread: threading.Thread | None = None
        self._answer: bool | Unresolved = False

    def needs_ipv6(self, timeout: float) -> bool:
        """Look up anew whether the host is to be reached by IPv6 alone.

        A name that has addresses of both protocols is reached by IPv4.

        Parameters
        ----------
        timeout
            Seconds to wait; what is known only later is the answer to the next question.

        Raises
        ------
        Unresolved
            There is no such name, or nothing is known of it yet.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._look_up, daemon=True, name="resolver")
            self._thread.start()
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise _unresolved(self._endpoint, "no name server has answered yet")
        self._thread = None
        if isinstance(self._answer, Unresolved):
            raise self._answer
        return self._answer

    def _look_up(self) -> None:
        try:
            self._answer = needs_ipv6(self._endpoint)
        except Unresolved as error:
            self._answer = error


def needs_ipv6(endpoint: Endpoint) -> bool:
    """Look up whether a host is to be reached by IPv6 alone, which may take long.

    Raises
    ------
    Unresolved
        There is no such name.
    """
    if endpoint.scheme == "ipc" or endpoint.place == "*":
        return False
    try:
        found = socket.getaddrinfo(
            endpoint.place.strip("[]"), endpoint.port, type=socket.SOCK_STREAM
        )
    except OSError as error:
        raise _unresolved(endpoint, error.strerror or str(error)) from None
    except UnicodeError:  # a part of it is empty or too long
        raise _unresolved(endpoint, "it is no name of a host") from None
    return all(family == socket.AF_INET6 for family, *_ in found)


def _unresolved(endpoint: Endpoint, why: str) -> Unresolved:
    return Unresolved(f"the name {endpoint.place.strip('[]')} cannot be resolved ({why})")
