"""Two hosts and the cable between them: network namespaces, and a link with latency and loss.

The link is a pair of virtual Ethernet devices with ``tc netem`` where the kernel has that. Where
it has not, it is a TAP device on each host, and a thread that carries the frames from one to the
other, late, and not all of them. Either needs root and iproute2, and touches no other network.
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import struct
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

DELAY_SECONDS = 0.02  # each way
LOSS = 0.01  # of the frames each way
ADDRESSES = ("10.77.0.1", "10.77.0.2")

TUNSETIFF = 0x400454CA
IFF_TAP_WITHOUT_HEADER = 0x0002 | 0x1000
FRAME_BYTES = 1 << 16


class NotPermitted(RuntimeError):
    """This machine does not let us have hosts or a cable; the reason."""


@dataclass(frozen=True)
class Host:
    """A network namespace with one link; ``prefix`` runs a command there."""

    name: str
    address: str

    @property
    def prefix(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.name)

    def run(self, *words: str) -> None:
        """Run a command here to its end."""
        _command(*self.prefix, *words)

    def attach(self, device: str) -> None:
        """Take a network device over from the machine and give it this host's address."""
        _command("ip", "link", "set", device, "netns", self.name)
        self.run("ip", "addr", "add", f"{self.address}/24", "dev", device)
        self.run("ip", "link", "set", device, "up")
        self.run("ip", "link", "set", "lo", "up")


class Veth:
    """A kernel's own cable."""

    def __init__(self, hosts: tuple[Host, Host], *, lossy: bool) -> None:
        self._devices = [f"bv{os.getpid()}{end}" for end in "ab"]
        self._host = hosts[0]
        first, second = self._devices
        _command("ip", "link", "add", first, "type", "veth", "peer", "name", second)
        for host, device in zip(hosts, self._devices, strict=True):
            host.attach(device)
        if lossy:
            self._spoil(hosts)

    def _spoil(self, hosts: tuple[Host, Host]) -> None:
        """Delay and lose frames; where that cannot be had there is no cable at all."""
        netem = ("netem", "delay", f"{DELAY_SECONDS * 1000:.0f}ms", "loss", f"{LOSS:.0%}")
        try:
            for host, device in zip(hosts, self._devices, strict=True):
                host.run("tc", "qdisc", "add", "dev", device, "root", *netem)
        except NotPermitted:
            self.close()
            raise

    def cut(self) -> None:
        self._host.run("ip", "link", "set", self._devices[0], "down")

    def mend(self) -> None:
        self._host.run("ip", "link", "set", self._devices[0], "up")

    def close(self) -> None:
        """Remove both ends, of which either takes the other along."""
        self._host.run("ip", "link", "del", self._devices[0])


class Tap:
    """A cable of our own: frames that one host sends are written to the other, late, or lost."""

    def __init__(self, hosts: tuple[Host, Host], *, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._whole = True
        self._stop, self._stopped = os.pipe()
        self._ends: list[int] = []
        self.carried = self.lost = 0
        for host, end in zip(hosts, "ab", strict=True):
            device = f"bt{os.getpid()}{end}"
            try:
                self._ends.append(os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK))
                request = struct.pack("16sH22x", device.encode(), IFF_TAP_WITHOUT_HEADER)
                fcntl.ioctl(self._ends[-1], TUNSETIFF, request)
            except OSError as error:
                raise NotPermitted(f"/dev/net/tun: {error.strerror}") from None
            host.attach(device)
        self._thread = threading.Thread(target=self._carry, name="cable")
        self._thread.start()

    def cut(self) -> None:
        self._whole = False

    def mend(self) -> None:
        self._whole = True

    def close(self) -> None:
        """Stop carrying; the devices go with their files."""
        os.close(self._stopped)
        self._thread.join()
        for file in (self._stop, *self._ends):
            os.close(file)

    def _carry(self) -> None:
        first, second = self._ends
        other = {first: second, second: first}
        on_their_way: deque[tuple[float, int, bytes]] = deque()  # due, to, frame
        while True:
            wait = max(0.0, on_their_way[0][0] - time.monotonic()) if on_their_way else None
            ready = select.select([self._stop, first, second], [], [], wait)[0]
            if self._stop in ready:
                return
            now = time.monotonic()
            for end in ready:
                frame = os.read(end, FRAME_BYTES)
                if self._whole and self._random.random() >= LOSS:
                    on_their_way.append((now + DELAY_SECONDS, other[end], frame))
                else:
                    self.lost += 1
            while on_their_way and on_their_way[0][0] <= now:
                _, end, frame = on_their_way.popleft()
                if self._whole:
                    os.write(end, frame)
                    self.carried += 1


Cable = Veth | Tap


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Make two hosts without a cable; end with both gone.

    Raises
    ------
    NotPermitted
        Network namespaces are not ours to make.
    """
    first, second = (
        Host(f"brigade-{os.getpid()}-{end}", address)
        for end, address in zip("ab", ADDRESSES, strict=True)
    )
    with ExitStack() as stack:
        for host in (first, second):
            _command("ip", "netns", "add", host.name)
            stack.callback(_command, "ip", "netns", "del", host.name)
        yield first, second


@contextmanager
def cable(hosts: tuple[Host, Host], *, lossy: bool) -> Iterator[Cable]:
    """Lay a cable between two hosts, with latency and loss or without.

    Raises
    ------
    NotPermitted
        No kind of cable is ours to lay.
    """
    laid: Cable
    try:
        laid = Veth(hosts, lossy=lossy)
    except NotPermitted:
        if not lossy:
            raise
        laid = Tap(hosts)
    try:
        yield laid
    finally:
        laid.mend()
        laid.close()


def _command(*words: str) -> None:
    try:
        subprocess.run(words, check=True, capture_output=True)
    except FileNotFoundError:
        raise NotPermitted(f"{words[0]} is not installed (iproute2)") from None
    except subprocess.CalledProcessError as error:
        raise NotPermitted(f"{' '.join(words)}: {error.stderr.decode().strip()}") from None
