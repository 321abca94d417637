"""Messages: what is sent arrives; what is not a message is refused, always in the same way."""

import math
from collections import OrderedDict
from typing import get_args

import msgpack
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from brigade.agent_numbers import ranges
from brigade.printable import printable
from brigade.sim.diagnosis import diagnose
from brigade.wire import messages
from brigade.wire.messages import (
    DTYPES,
    MAX_ARRAYS,
    MAX_DIMENSIONS,
    MAX_HEADER_BYTES,
    Acknowledge,
    BadMessage,
    Experience,
    Goodbye,
    Granted,
    Heartbeat,
    Hello,
    Refusal,
    Stop,
    Weights,
    Welcome,
    decode,
    encode,
    require,
)

PRINTABLE = st.characters(codec="utf-8").filter(lambda c: printable(c) == c)
NAMES = st.text(PRINTABLE, min_size=1, max_size=20)
REASONS = st.text(PRINTABLE, max_size=30)
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
COUNTS = st.integers(0, 2**62)
FLOATS = st.floats(allow_nan=False)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | FLOATS | TEXT | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
CONFIGS = st.dictionaries(
    TEXT, st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | FLOATS | TEXT
)
BY_TYPE = {
    Hello: st.builds(Hello, name=NAMES, agents=NAMES, device=NAMES, run=REASONS),
    Welcome: st.builds(
        Welcome,
        run=NAMES,
        slot=COUNTS,
        weights=NAMES,
        experience=NAMES,
        config=CONFIGS,
        policies=st.lists(CONFIGS, max_size=3),
        agents=st.lists(
            st.builds(Granted, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, st.booleans()), max_size=5
        ),
    ),
    Refusal: st.builds(Refusal, reason=REASONS, final=st.booleans()),
    Weights: st.builds(
        Weights,
        run=NAMES,
        agent=COUNTS,
        version=COUNTS,
        steps=COUNTS,
        metrics=st.dictionaries(TEXT, FLOATS, max_size=5),
    ),
    Acknowledge: st.builds(Acknowledge, run=NAMES, agent=COUNTS, version=COUNTS),
    Experience: st.builds(
        Experience, run=NAMES, agent=COUNTS, sequence=COUNTS, progress=st.floats(0, 1)
    ),
    Heartbeat: st.builds(Heartbeat, run=NAMES),
    Goodbye: st.builds(Goodbye, run=NAMES, reason=REASONS),
    Stop: st.builds(Stop, run=NAMES, reason=REASONS, failed=st.booleans()),
    messages.Ask: st.builds(messages.Ask),
    messages.Report: st.builds(
        messages.Report,
        run=NAMES,
        run_name=NAMES,
        share=st.floats(0, 1),
        episodes=COUNTS,
        transitions=COUNTS,
        seconds=FLOATS,
        transitions_per_second=FLOATS,
        lag=COUNTS,
        free=st.lists(COUNTS, max_size=3),
        bad_messages=COUNTS,
        learners=st.lists(
            st.builds(
                messages.LearnerReport,
                name=NAMES,
                device=NAMES,
                agents=st.lists(COUNTS, max_size=3),
                versions=st.lists(COUNTS, max_size=3),
                outstanding=st.lists(COUNTS, max_size=3),
                silent_seconds=FLOATS,
                learn_seconds=FLOATS,
                wait_seconds=FLOATS,
            ),
            max_size=2,
        ),
        remarks=st.lists(REASONS, max_size=2),
    ),
}
HEADERS = st.one_of(BY_TYPE.values())
SHAPES = hnp.array_shapes(min_dims=0, max_dims=MAX_DIMENSIONS, min_side=0, max_side=4)
ARRAYS = st.dictionaries(
    NAMES,
    st.sampled_from(sorted(DTYPES)).flatmap(
        lambda name: hnp.arrays(
            DTYPES[name],
            SHAPES,
            elements={"allow_nan": False, "allow_infinity": False} if name[1] == "f" else None,
        )
    ),
    max_size=5,
)
EXAMPLE = Experience(run="r", agent=3, sequence=7, progress=0.5)


def header(**changes):
    """A valid header's bytes, with fields changed or (None) left out."""
    body = {"type": "heartbeat", "protocol": messages.PROTOCOL, "run": "r", "arrays": []} | changes
    return msgpack.packb({name: value for name, value in body.items() if value is not None})


def header_of(*specs) -> bytes:
    return header(arrays=[list(spec) for spec in specs])


@given(sent=HEADERS, arrays=ARRAYS, frame=st.sampled_from([bytes, memoryview, bytearray]))
def test_what_is_sent_arrives(sent, arrays, frame):
    received, brought = decode([frame(bytes(f)) for f in encode(sent, arrays)])
    assert received == sent
    assert type(received) is type(sent)
    assert list(brought) == list(arrays)
    for name, array in arrays.items():
        assert brought[name].dtype == array.dtype
        assert brought[name].shape == array.shape
        assert np.array_equal(brought[name], array)


@given(sent=HEADERS, arrays=ARRAYS)
def test_a_message_is_plain_msgpack_and_plain_bytes(sent, arrays):
    first, *rest = encode(sent, arrays)
    body = msgpack.unpackb(bytes(first))
    specs = body.pop("arrays")
    assert body.pop("type") == type(sent).__name__.lower()
    fields = {name: getattr(sent, name) for name in type(sent).__struct_fields__}
    assert body == msgspec.to_builtins(fields)
    for (name, dtype, shape), frame in zip(specs, rest, strict=True):
        found = np.frombuffer(bytes(frame), dtype).reshape(shape)
        assert np.array_equal(found, arrays[name])


def test_every_type_of_message_is_tried_here():
    assert set(BY_TYPE) == set(get_args(messages.Message))


# ---- no copies ---------------------------------------------------------------------------


def test_arrays_are_not_copied_on_either_side():
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    first, frame = encode(EXAMPLE, {"observations": array})
    assert np.shares_memory(np.frombuffer(frame, np.uint8), array)
    _, arrays = decode([first, frame])
    assert np.shares_memory(arrays["observations"], array)


@pytest.mark.parametrize(
    "given_",
    [
        np.arange(24, dtype=np.float32).reshape(4, 6)[::2, ::-1],
        np.asfortranarray(np.arange(24, dtype=np.float32).reshape(4, 6)),
        np.arange(6, dtype=">f4"),
        np.arange(6, dtype=">i8").reshape(2, 3),
        np.float64(2.5) * np.ones(()),
    ],
    ids=["strided", "fortran", "big-endian", "big-endian integers", "no dimensions"],
)
def test_arrays_in_other_layouts_arrive_with_their_values_and_shape(given_):
    _, arrays = decode(encode(EXAMPLE, {"x": given_}))
    assert arrays["x"].shape == given_.shape
    assert np.array_equal(arrays["x"], given_)
    assert arrays["x"].dtype.byteorder in "=|<"


# ---- what may not be sent ----------------------------------------------------------------


@pytest.mark.parametrize(
    "array",
    [
        np.array([{}, []], object),
        np.array(["a"]),
        np.array([b"a"]),
        np.zeros(2, np.complex64),
        np.zeros(2, np.float16),
        np.zeros(2, np.int8),
        np.zeros(2, [("a", "f4")]),
        np.zeros(2, "M8[s]"),
    ],
    ids=lambda array: str(array.dtype),
)
def test_arrays_of_other_dtypes_are_not_sent(array):
    with pytest.raises(BadMessage, match=r"array 'x' has dtype"):
        encode(EXAMPLE, {"x": array})


# ---- what is refused ---------------------------------------------------------------------

FOUR = np.zeros(4, np.float32).tobytes()
REFUSED = {
    "no frames": [],
    "an empty header": [b""],
    "not msgpack": [b"\xc1"],
    "cut off": [header()[:-1]],
    "something behind it": [header() + b"\x00"],
    "pickle": [b"cos\nsystem\n(S'true'\ntR."],
    "a list": [msgpack.packb([1, 2])],
    "a number": [msgpack.packb(1)],
    "not utf-8": [b"\x81\xa2\xff\xff\x01"],
    "keys that are no text": [msgpack.packb({1: 2})],
    "nested too deep": [b"\x91" * 5000 + b"\x01"],
    "a long header": [header(run="r" * MAX_HEADER_BYTES)],
    "another protocol": [header(protocol=messages.PROTOCOL + 1)],
    "no protocol": [header(protocol=None)],
    "a protocol that is true": [header(protocol=True)],
    "an unknown type": [header(type="pickle")],
    "no type": [header(type=None)],
    "a type that is a list": [header(type=[1])],
    "an unknown field": [header(more=1)],
    "a missing field": [header(run=None)],
    "a field of another type": [header(run=1)],
    "an empty name": [header(run="")],
    "a name of two lines": [header(run="r\nr")],
    "a name that ends with a new line": [header(run="r\n")],
    "a name that speaks to the terminal": [header(run="\x1b[2J")],
    "a name that does so in one character": [header(run="\x9b2J")],
    "a name that turns a line round": [header(run="a\u202eb")],
    "a name with a line separator": [header(run="a\u2028b")],
    "a long name": [header(run="r" * 256)],
    "a reason of two lines": [header(type="goodbye", reason="so\nthere")],
    "an extension type": [header(run=msgpack.ExtType(4, b"x"))],
    "a time": [header(run=msgpack.Timestamp(1))],
    "a negative count": [header(type="acknowledge", agent=-1, version=0)],
    "a count beyond bounds": [header(type="acknowledge", agent=2**63, version=0)],
    "a count that is a float": [header(type="acknowledge", agent=1.0, version=0)],
    "a progress beyond 1": [header(type="experience", agent=0, sequence=0, progress=1.5)],
    "a progress that is no number": [
        header(type="experience", agent=0, sequence=0, progress=math.nan)
    ],
    "arrays that are a map": [header(arrays={"a": 1})],
    "arrays that are text": [header(arrays="abc")],
    "an entry too short": [header(arrays=[["a", "<f4"]]), FOUR],
    "an entry too long": [header(arrays=[["a", "<f4", [4], 1]]), FOUR],
    "an array without a name": [header_of(("", "<f4", [4])), FOUR],
    "too few frames": [header_of(("a", "<f4", [4]))],
    "too many frames": [header_of(("a", "<f4", [4])), FOUR, FOUR],
    "frames without entries": [header(arrays=None), FOUR],
    "two of one name": [header_of(("a", "<f4", [4]), ("a", "<f4", [4])), FOUR, FOUR],
    "objects": [header_of(("a", "|O", [2])), b"0" * 16],
    "an unknown dtype": [header_of(("a", "<f2", [8])), FOUR],
    "big-endian": [header_of(("a", ">f4", [4])), FOUR],
    "text for a dtype": [header_of(("a", "no such thing", [4])), FOUR],
    "a structured dtype": [header_of(("a", "f4,f4", [2])), FOUR],
    "too short": [header_of(("a", "<f4", [5])), FOUR],
    "too long": [header_of(("a", "<f4", [3])), FOUR],
    "not whole numbers": [header_of(("a", "<f8", [2])), FOUR[:-1]],
    "a negative shape": [header_of(("a", "<f4", [-4])), FOUR],
    "two negative sides": [header_of(("a", "<f4", [-2, -2])), FOUR],
    "a fraction of a shape": [header_of(("a", "<f4", [4.0])), FOUR],
    "a huge shape": [header_of(("a", "<f4", [2**62])), FOUR],
    "a shape that overflows": [header_of(("a", "<f4", [2**62, 4])), FOUR],
    "a huge shape with a zero": [header_of(("a", "<f4", [0, 2**62])), b""],
    "huge shapes with a zero": [header_of(("a", "|u1", [2**62, 2**62, 0])), b""],
    "too many dimensions": [header_of(("a", "<f4", [1] * MAX_DIMENSIONS + [4])), FOUR],
    "infinite": [header_of(("a", "<f4", [1])), np.float32(np.inf).tobytes()],
    "infinite, wide": [header_of(("a", "<f8", [1])), np.float64(-np.inf).tobytes()],
    "not a number": [header_of(("a", "<f4", [4])), FOUR[:-4] + np.float32(np.nan).tobytes()],
    "booleans of 2": [header_of(("a", "|b1", [2])), b"\x01\x02"],
    "too many arrays": [
        header_of(*((f"{i:x}", "|u1", [0]) for i in range(MAX_ARRAYS + 1))),
        *[b""] * (MAX_ARRAYS + 1),
    ],
}


@pytest.mark.parametrize("frames", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("view", [bytes, memoryview])
def test_it_is_refused(frames, view):
    with pytest.raises(BadMessage) as refused:
        decode([view(frame) for frame in frames])
    assert str(refused.value)


@pytest.mark.parametrize(
    "frames",
    [
        [header(protocol=[math.nan] * 100_000)],
        [header(type="t" * 500_000)],
        [header(**{"f" * 500_000: 1})],
        [header(arrays=[["a", "d" * 500_000, [1]]]), b""],
        [header(arrays=[["a", "<f4", [2**60] * 90_000]]), b""],
        [msgpack.packb(OrderedDict.fromkeys(f"{i:x}" for i in range(100_000)))],
    ],
    ids=["protocol", "type", "field", "dtype", "shape", "keys"],
)
def test_a_refusal_is_a_sentence_however_long_the_message(frames):
    with pytest.raises(BadMessage) as refused:
        decode(frames)
    assert len(str(refused.value)) <= 1000


# ---- anything at all ---------------------------------------------------------------------


def read_or_refuse(frames) -> None:
    try:
        received, arrays = decode(frames)
    except BadMessage:
        return
    assert isinstance(received, messages.Header)
    for array in arrays.values():
        assert array.dtype.str in DTYPES
        assert array.dtype.kind != "f" or np.isfinite(array).all()


@settings(max_examples=300)
@given(
    data=st.data(),
    dtype=st.sampled_from(["<f4", "<f8"]),
    sign=st.sampled_from([0, 1]),  # observations are not negative, other numbers are
)
def test_numbers_are_taken_if_all_are_finite(data, dtype, sign):
    integers = dtype.replace("f", "u")
    largest = int(np.iinfo(integers).max) >> (1 - sign)  # any bits, of any kind of NaN too
    infinity = int(np.array(np.inf, dtype).view(integers))
    elements = st.integers(0, largest) | st.integers(infinity - 2, infinity + 2)
    bits = data.draw(hnp.arrays(integers, st.integers(0, 6), elements=elements))
    frames = [header_of(("a", dtype, list(bits.shape))), bits.tobytes()]
    if np.isfinite(bits.view(dtype)).all():
        assert decode(frames)[1]["a"].tobytes() == bits.tobytes()
    else:
        with pytest.raises(BadMessage, match="not finite"):
            decode(frames)


@given(frames=st.lists(st.binary(max_size=60), max_size=4))
def test_any_bytes_are_read_or_refused(frames):
    read_or_refuse(frames)


@settings(max_examples=300)
@given(body=PLAIN | st.dictionaries(st.sampled_from(["protocol", "type", "arrays", "run"]), PLAIN))
def test_any_msgpack_is_read_or_refused(body):
    read_or_refuse([msgpack.packb(body)])


@settings(max_examples=300)
@given(sent=HEADERS, arrays=ARRAYS, data=st.data())
def test_a_header_with_any_field_changed_is_read_or_refused(sent, arrays, data):
    first, *rest = encode(sent, arrays)
    body = msgpack.unpackb(first)
    name = data.draw(st.sampled_from(sorted(body)) | TEXT)
    body[name] = data.draw(PLAIN)
    read_or_refuse([msgpack.packb(body), *rest])


@settings(max_examples=300)
@given(
    array=st.tuples(
        NAMES,
        st.sampled_from([*DTYPES, "|O", ">f4", "<U3"]) | TEXT,
        st.lists(st.integers(-2, 5) | st.sampled_from([2**31, 2**40, 2**62]), max_size=6),
    ),
    frame=st.binary(max_size=40),
)
def test_any_array_is_read_or_refused(array, frame):
    read_or_refuse([header_of(array), frame])


@settings(max_examples=300)
@given(sent=HEADERS, arrays=ARRAYS, data=st.data())
def test_damaged_frames_are_read_or_refused(sent, arrays, data):
    frames = [bytearray(frame) for frame in encode(sent, arrays)]
    for _ in range(data.draw(st.integers(1, 3))):
        which = data.draw(st.integers(0, len(frames) - 1))
        frame = frames[which]
        at = data.draw(st.integers(0, max(0, len(frame) - 1)))
        how = data.draw(st.sampled_from(["flip", "cut", "insert", "repeat", "drop"]))
        if how == "flip" and frame:
            frame[at] ^= data.draw(st.integers(1, 255))
        elif how == "cut":
            del frame[at:]
        elif how == "insert":
            frame[at:at] = data.draw(st.binary(min_size=1, max_size=9))
        elif how == "repeat":
            frames.insert(which, bytearray(frame))
        elif how == "drop" and len(frames) > 1:
            del frames[which]
    read_or_refuse([bytes(frame) for frame in frames])


# ---- require -----------------------------------------------------------------------------

EXPECTED = {"a": ("f4", (3, None)), "b": ("u1|i4", ())}


@pytest.mark.parametrize("width", [0, 1, 7])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_the_right_arrays_are_let_through(width, dtype):
    require({"a": np.zeros((3, width), np.float32), "b": np.zeros((), dtype)}, EXPECTED)


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"a": np.zeros((3, 1), np.float32)},
        {"a": np.zeros((3, 1), np.float32), "b": np.zeros((), np.uint8), "c": np.zeros(1)},
        {"a": np.zeros((3, 1), np.float64), "b": np.zeros((), np.uint8)},
        {"a": np.zeros((2, 1), np.float32), "b": np.zeros((), np.uint8)},
        {"a": np.zeros(3, np.float32), "b": np.zeros((), np.uint8)},
        {"a": np.zeros((3, 1, 1), np.float32), "b": np.zeros((), np.uint8)},
        {"a": np.zeros((3, 1), np.float32), "b": np.zeros((), np.int64)},
        {"a": np.zeros((3, 1), np.float32), "b": np.zeros(1, np.uint8)},
    ],
    ids=["none", "missing", "superfluous", "wide", "short", "flat", "deep", "int64", "not scalar"],
)
def test_other_arrays_are_refused(arrays):
    with pytest.raises(BadMessage, match="array"):
        require(arrays, EXPECTED)


def test_a_refusal_of_many_arrays_is_a_sentence():
    with pytest.raises(BadMessage) as refused:
        require({f"{i:x}": np.zeros(1) for i in range(10_000)}, EXPECTED)
    assert len(str(refused.value)) <= 1000


def test_many_agents_that_are_not_neighbours_fit_in_a_message():
    agents = ranges(range(0, 10_000, 2))
    hello = Hello(name="box", agents=agents, device="cpu")
    assert decode(encode(hello))[0] == hello
    [remark] = diagnose([], range(0, 10_000, 2), [], waited=0.0, lease_timeout=1.0)
    goodbye = Goodbye(run="r", reason=remark)
    assert decode(encode(goodbye))[0] == goodbye


@pytest.mark.parametrize("itemsize", [1, 4, 8])
def test_an_array_has_the_bytes_that_its_shape_needs(itemsize):
    """However many elements it claims: nothing is allocated for what is not there."""
    dtype = {1: "|u1", 4: "<f4", 8: "<f8"}[itemsize]
    most = 2**31 - 1
    for shape in ([most], [most, most], [1, most, 1, most], [0, most, most, most], [2**20, 0]):
        for size in (0, 1, itemsize, 64):
            if size == 0 and shape == [2**20, 0]:
                continue
            with pytest.raises(BadMessage):
                decode([header_of(["x", dtype, shape]), bytes(size)])
