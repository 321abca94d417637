"""What the process that trains and a process that plays games tell one another.

A message is one byte; of the kinds that say more, a length of four bytes and so much JSON follow.
What games see and do is not among it: that lies in memory that both share.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from enum import Enum
from typing import Any


class Message(bytes, Enum):
    """Kinds of messages."""

    # To a worker.
    START = b"S"  # what to play
    RESET = b"r"
    STEP = b"s"
    CLOSE = b"c"
    # From a worker.
    DONE = b"."
    NEWS = b"n"  # done, and kinds of oddities that were not seen before, with where they were
    FAULT = b"!"  # an environment failed
    CANNOT = b"x"  # the games cannot be made


SAYS_MORE = {Message.START, Message.NEWS, Message.FAULT, Message.CANNOT}
LENGTH = struct.Struct("<I")
REST_SECONDS = 30.0  # in which the rest of a message follows its first byte


def send(connection: socket.socket, kind: Message, content: Any = None) -> None:
    """Send a message, with content if it is of a kind that says more.

    Raises
    ------
    TypeError, ValueError
        The content is none of JSON's.
    """
    if kind in SAYS_MORE:
        text = json.dumps(content, allow_nan=True).encode()
        connection.sendall(kind.value + LENGTH.pack(len(text)) + text)
    else:
        connection.sendall(kind.value)


def receive(connection: socket.socket) -> tuple[Message, Any]:
    """Wait for a message.

    Raises
    ------
    EOFError
        The other side has gone.
    TimeoutError
        As the connection's timeout says.
    """
    kind = Message(_some(connection, 1))
    if kind not in SAYS_MORE:
        return kind, None
    (length,) = LENGTH.unpack(_exactly(connection, LENGTH.size))
    return kind, json.loads(_exactly(connection, length))


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = b""
    deadline = time.monotonic() + REST_SECONDS
    while len(received) < size:
        try:
            received += _some(connection, size - len(received))
        except TimeoutError:
            if time.monotonic() > deadline:
                raise EOFError from None
    return received


def _some(connection: socket.socket, most: int) -> bytes:
    try:
        received = connection.recv(most)
    except ConnectionError:
        received = b""
    if not received:
        raise EOFError
    return received
