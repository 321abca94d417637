"""Messages: a typed msgpack header and raw arrays. Encoding makes frames, and sends nothing.

A message is a list of frames. The first is a msgpack map: the header's fields, ``type``, and
``arrays``, a list of ``[name, dtype, shape]``; then comes one frame of raw bytes per array, in C
order, little-endian. Everything in a frame is untrusted until :func:`decode` has returned: unknown
types and fields, other dtypes, sizes that do not fit and numbers that are not finite are refused
with a :class:`BadMessage`. Nothing is ever unpickled or evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Annotated, Any, Final, Literal

import msgpack
import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from brigade.printable import UNPRINTABLE

PROTOCOL: Final = 9
OTHER_PROTOCOLS = 1000  # what lies beyond is garbage, not a version to come

# dtypes that may be on the wire, by NumPy's name with byte order.
DTYPES = {name: np.dtype(name) for name in ("<f4", "<f8", "<i4", "<i8", "|u1", "|b1")}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
MAX_HEADER_BYTES = 1 << 20
MAX_ARRAYS = 1 << 14
MAX_DIMENSIONS = 4
MAX_LENGTH = 2**31 - 1  # of a dimension
MAX_BYTES = 2**63 - 1  # of an array

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Frame = bytes | memoryview

# What strangers call things is printed, so it has no control characters.
Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=rf"^[^{UNPRINTABLE}]+\Z")]
Reason = Annotated[str, Meta(max_length=1 << 16, pattern=rf"^[^{UNPRINTABLE}]*\Z")]
# Agents as people write them may be many: "0,2,4,6,8" and so on.
Wanted = Annotated[str, Meta(min_length=1, max_length=1 << 16, pattern=rf"^[^{UNPRINTABLE}]+\Z")]
Count = Annotated[int, Meta(ge=0, le=2**62)]


class BadMessage(ValueError):
    """What was received is not a message of this protocol; the sentence says why."""

    def __init__(self, why: str) -> None:
        # It may quote a stranger's bytes, of which a log wants no more than a taste.
        super().__init__(why if len(why) <= 300 else f"{why[:297]}...")


class OtherProtocol(BadMessage):
    """It is a message of another ``protocol``."""

    def __init__(self, protocol: int) -> None:
        super().__init__(f"protocol {protocol}; this is protocol {PROTOCOL}")
        self.protocol = protocol


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=str.lower):
    """What every header has: the protocol's version. A header's type is its class's name."""

    protocol: Literal[9] = PROTOCOL


class Hello(Header, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=str.lower):
    """A learner asks to join (control).

    ``run`` is set where it comes back to a run it knows, ``stand_by`` where it would wait for
    agents that others have.
    """

    name: Name
    agents: Wanted
    device: Name
    run: Annotated[str, Meta(max_length=200)] = ""
    stand_by: bool = False


class Granted(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An agent that a learner gets: ``state`` tells that its arrays are in the welcome.

    ``policy`` is which of the welcome's policies it has.
    """

    agent: Count
    policy: Count
    version: Count
    steps: Count
    rollbacks: Count
    state: bool


class Welcome(Header, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=str.lower):
    """The simulator's yes (control), with all that a learner needs to know.

    Arrays: for each granted agent with ``state``, ``"{agent}/{array}"`` with the four arrays of
    an agent's state. ``weights`` and ``experience`` say where to connect: a port of the host that
    control was reached at, or the suffix of its ``ipc`` path. ``fencing_token`` is what this
    learner's weights are known by, and ``generation`` what its experience is: the slot may have
    been another's before.
    """

    run: Name
    slot: Count
    generation: Count = 0
    fencing_token: Annotated[str, Meta(max_length=64)] = ""
    weights: Name
    experience: Name
    config: dict[str, Any]
    policies: Annotated[list[dict[str, Any]], Meta(max_length=1000)]  # see policy/build.py
    agents: list[Granted]


class Refusal(Header, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=str.lower):
    """The simulator's no (control), in one sentence. ``final``: asking again will not help."""

    reason: Reason
    final: bool = True


class Weights(Header, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=str.lower):
    """An agent's new version (weights), with its whole state and what the update was like.

    Each update uses one rollout, so the next one that the agent needs has ``version`` as its
    sequence number. ``diverged`` says what was not finite; the update was undone then, as
    ``rollbacks`` updates have been. A metric that is not finite is None. Arrays: ``parameters``,
    ``first_moment``, ``second_moment`` float32 ``[D]``, ``statistics`` float64 ``[3]``.
    """

    run: Name
    agent: Count
    version: Count
    steps: Count
    rollbacks: Count = 0
    fencing_token: Annotated[str, Meta(max_length=64)] = ""
    metrics: dict[str, float | None] = {}
    diverged: Reason = ""


class Acknowledge(Header, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=str.lower):
    """The simulator has this version (control): it need not be published again."""

    run: Name
    agent: Count
    version: Count


class Experience(Header, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=str.lower):
    """One agent's part of one rollout (experience): n transitions in M fragments.

    Arrays: the columns of :class:`brigade.ppo.rollout.Rollout`; those of default steps and masks
    only where the run needs them.
    """

    run: Name
    agent: Count
    sequence: Count
    generation: Count = 0  # the receiver's, from its welcome
    progress: Annotated[float, Meta(ge=0, le=1)]


class Heartbeat(Header, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=str.lower):
    """Either side is alive (control).

    The simulator adds how many rollouts this learner was sent and has not answered with a new
    version, so that a learner that has none of them notices that the line is broken.
    """

    run: Name
    outstanding: Count = 0


class Goodbye(Header, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=str.lower):
    """A learner leaves (control); its agents are free."""

    run: Name
    reason: Reason = ""


class Stop(Header, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=str.lower):
    """The run is over (control): learners leave. ``failed`` where it ended by an error."""

    run: Name
    reason: Reason
    failed: bool = False


class Ask(Header, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=str.lower):
    """Anyone who may connect asks how the run is doing (control)."""


class LearnerReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one learner is doing. Lists are in the order of ``agents``."""

    name: Name
    device: Name
    agents: list[Count]
    versions: list[int]  # the newest here; -1 where there is none yet
    outstanding: list[Count]  # rollouts sent and not learned from
    silent_seconds: float
    learn_seconds: float  # of its last update
    wait_seconds: float  # before that


class Report(Header, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=str.lower):
    """How the run is doing (control). ``remarks`` name what is slow or gone, for people."""

    run: Name
    run_name: Name
    share: Annotated[float, Meta(ge=0, le=1)]
    episodes: Count
    transitions: Count
    seconds: float
    transitions_per_second: float  # of late
    lag: Count  # of the policies that play, at most
    free: list[Count]  # agents without a learner
    bad_messages: Count
    learners: list[LearnerReport]
    remarks: list[Reason]


Message = (
    Hello
    | Welcome
    | Refusal
    | Weights
    | Acknowledge
    | Experience
    | Heartbeat
    | Goodbye
    | Stop
    | Ask
    | Report
)


class _Spec(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One array's entry in a header."""

    name: Name
    dtype: str
    shape: list[Count]


class _Head(msgspec.Struct):
    """A first frame; msgspec looks at a class's types only once."""

    header: Message
    arrays: list[_Spec]


def encode(header: Header, arrays: Arrays | None = None) -> list[Frame]:
    """Make the frames of a message; arrays are not copied, so they must stay as they are.

    Raises
    ------
    BadMessage
        An array's dtype is not on the list (objects, say), so it cannot be sent.
    """
    specs, frames = [], []
    for name, array in (arrays or {}).items():
        dtype = _NAMES.get(array.dtype) or array.dtype.newbyteorder("<").str
        if dtype not in DTYPES:
            raise BadMessage(f"array {name!r} has dtype {array.dtype}, not one of {list(DTYPES)}")
        specs.append([name, dtype, array.shape])
        whole = np.ascontiguousarray(array, DTYPES[dtype])
        frames.append(whole.reshape(-1).view(np.uint8).data)
    body = msgspec.to_builtins(header) | {"arrays": specs}
    packed: bytes = msgpack.packb(body)
    return [packed, *frames]


def encode_mismatch(protocol: int) -> list[Frame]:
    """Refuse one who speaks another protocol, in that: a refusal has not changed since 3."""
    reason = (
        f"this simulator speaks protocol {PROTOCOL} and this learner {protocol}: "
        "install the same version of brigade on both sides"
    )
    body = msgspec.to_builtins(Refusal(reason=reason)) | {"protocol": protocol, "arrays": []}
    packed: bytes = msgpack.packb(body)
    return [packed]


def decode(frames: Sequence[Frame]) -> tuple[Message, dict[str, Array]]:
    """Check frames and read them: the header and its arrays, which share the frames' memory.

    Raises
    ------
    OtherProtocol
        They are of another version of brigade.
    BadMessage
        The frames are not a message; nothing of them should be used.
    """
    if not frames:
        raise BadMessage("a message without frames")
    if len(frames[0]) > MAX_HEADER_BYTES:
        raise BadMessage(f"a header of {len(frames[0])} bytes, over {MAX_HEADER_BYTES}")
    try:
        body = msgpack.unpackb(frames[0], raw=False, strict_map_key=True)
    except Exception as error:  # msgpack raises many kinds, none of them an error of ours
        raise BadMessage(f"a header that is not msgpack: {error}") from None
    if not isinstance(body, dict):
        raise BadMessage(f"a header that is a {type(body).__name__}, not a map")
    protocol = body.get("protocol")
    if protocol != PROTOCOL:
        if type(protocol) is int and 0 <= protocol < OTHER_PROTOCOLS:
            raise OtherProtocol(protocol)
        raise BadMessage(f"protocol {protocol!r}; this is protocol {PROTOCOL}")
    specs = body.pop("arrays", [])
    try:
        head = msgspec.convert({"header": body, "arrays": specs}, _Head)
    except (msgspec.ValidationError, ValueError) as error:
        raise BadMessage(f"a header that does not fit: {error}") from None
    header, entries = head.header, head.arrays
    if len(entries) != len(frames) - 1 or len(entries) > MAX_ARRAYS:
        raise BadMessage(f"{len(frames) - 1} array frames for {len(entries)} arrays")
    arrays = {
        entry.name: _read(entry, frame) for entry, frame in zip(entries, frames[1:], strict=True)
    }
    if len(arrays) != len(entries):
        raise BadMessage("two arrays of one name")
    return header, arrays


def _read(entry: _Spec, frame: Frame) -> Array:
    """View a frame as the array that its entry describes."""
    dtype = DTYPES.get(entry.dtype)
    if dtype is None:
        raise BadMessage(f"array {entry.name!r} has dtype {entry.dtype!r}, not on the list")
    if len(entry.shape) > MAX_DIMENSIONS or max(entry.shape, default=0) > MAX_LENGTH:
        raise BadMessage(f"array {entry.name!r} has shape {entry.shape}, out of bounds")
    # With a length of 0 there are no bytes, but NumPy refuses the rest where it would be too large.
    if prod(max(length, 1) for length in entry.shape) * dtype.itemsize > MAX_BYTES:
        raise BadMessage(f"array {entry.name!r} has shape {entry.shape}, out of bounds")
    size = frame.nbytes if isinstance(frame, memoryview) else len(frame)
    if prod(entry.shape) * dtype.itemsize != size:
        raise BadMessage(f"array {entry.name!r}: {size} bytes for {entry.dtype}{entry.shape}")
    array = (
        np.frombuffer(frame, dtype).reshape(entry.shape) if size else np.empty(entry.shape, dtype)
    )
    if dtype.kind == "b" and size and array.view(np.uint8).max() > 1:
        raise BadMessage(f"array {entry.name!r} has booleans other than 0 and 1")
    if dtype.kind == "f" and not _finite(array):
        raise BadMessage(f"array {entry.name!r} has numbers that are not finite")
    return array


def _finite(array: Array) -> bool:
    """Whether all of an array's floats are finite.

    Most arrays are observations, which are not negative. The bits of such floats, as integers, are
    in the order of the floats, infinity above all finite ones and what is no number above that:
    their maximum tells, in less time.
    """
    bits = array.view(array.dtype.str.replace("f", "u"))
    infinity = np.array(np.inf, array.dtype).view(bits.dtype)
    return bool(bits.max(initial=0) < infinity) or bool(np.isfinite(array).all())


def require(arrays: Arrays, expected: Mapping[str, tuple[str, tuple[int | None, ...]]]) -> None:
    """Check that a message brought just these arrays.

    Parameters
    ----------
    expected
        For each name the kinds of dtype allowed (NumPy's kind letters, with the item size: such as
        ``"f4"``; several separated by ``|``) and the shape, None standing for any length.

    Raises
    ------
    BadMessage
        An array is missing, superfluous, or of another dtype or shape.
    """
    if set(arrays) != set(expected):
        raise BadMessage(f"arrays {sorted(arrays)} instead of {sorted(expected)}")
    for name, (dtypes, shape) in expected.items():
        array = arrays[name]
        fits = array.ndim == len(shape) and all(
            want is None or want == have for want, have in zip(shape, array.shape, strict=True)
        )
        if array.dtype.str[1:] not in dtypes.split("|") or not fits:
            raise BadMessage(
                f"array {name!r} is {array.dtype.str}{list(array.shape)}, not {dtypes}{list(shape)}"
            )
