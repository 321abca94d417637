"""Addresses: all sockets of a run follow from the one that people type."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brigade.wire.endpoints import MAX_SLOTS, AddressError, Endpoint


def test_tcp_sockets_follow_the_base_port():
    endpoint = Endpoint.parse("tcp://127.0.0.1:5750")
    assert endpoint.control == "tcp://127.0.0.1:5750"
    assert endpoint.at(endpoint.weights_suffix) == "tcp://127.0.0.1:5751"
    assert [endpoint.at(endpoint.experience_suffix(slot)) for slot in range(3)] == [
        "tcp://127.0.0.1:5752",
        "tcp://127.0.0.1:5753",
        "tcp://127.0.0.1:5754",
    ]


def test_ipc_sockets_follow_the_base_path():
    endpoint = Endpoint.parse("ipc:///tmp/a run/control")
    assert endpoint.control == "ipc:///tmp/a run/control"
    assert endpoint.at(endpoint.weights_suffix) == "ipc:///tmp/a run/control-weights"
    assert endpoint.at(endpoint.experience_suffix(7)) == "ipc:///tmp/a run/control-experience-7"


def test_suffixes_lead_to_another_host_of_the_same_sockets():
    # A learner reaches the simulator by another name than the one that was bound.
    bound, reached = Endpoint.parse("tcp://0.0.0.0:6000"), Endpoint.parse("tcp://sim.lan:6000")
    assert reached.at(bound.experience_suffix(4)) == "tcp://sim.lan:6006"


@given(port=st.integers(1, 65533), slot=st.integers(0, MAX_SLOTS - 1), scheme=st.booleans())
def test_no_two_sockets_share_an_address(port, slot, scheme):
    endpoint = Endpoint.parse(f"tcp://h:{port}" if scheme else "ipc:///tmp/x")
    if scheme and port + 2 + slot > 65535:
        with pytest.raises(AddressError, match="no port is left"):
            endpoint.experience_suffix(slot)
        return
    suffixes = [endpoint.weights_suffix, endpoint.experience_suffix(slot)]
    addresses = {endpoint.control, *map(endpoint.at, suffixes)}
    assert len(addresses) == 3


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost:5750",
        "tcp://",
        "tcp://host",
        "tcp://host:",
        "tcp://:5750",
        "tcp://host:0",
        "tcp://host:65534",
        "tcp://host:99999",
        "tcp://host:123456",
        "tcp://host:-1",
        "tcp://host:x",
        "tcp://a:b:5750",
        "tcp://host:5750/x",
        "udp://host:5750",
        "inproc://x",
        "ipc://",
        "ipc://" + "x" * 81,
        "ipc://" + "\N{LATIN SMALL LETTER E WITH ACUTE}" * 41,
        " tcp://host:5750",
        "tcp://host:5750\n",
        "tcp://a host:5750",
        "tcp://a\x1bhost:5750",
        "tcp://h\N{LATIN SMALL LETTER O WITH DIAERESIS}st:5750",
        "tcp://**:5750",
        "tcp://::1:5750",
        "tcp://[]:5750",
        "tcp://[::zz]:5750",
        "tcp://[127.0.0.1]:5750",
        "tcp://[::1%]:5750",
        "tcp://[fe80::1]:5750",
        "ipc:///tmp/caf\udce9",
        "ipc:///tmp/\ud800",
    ],
)
def test_what_is_no_address_is_refused_in_one_line(address):
    with pytest.raises(AddressError) as refused:
        Endpoint.parse(address)
    assert repr(address) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "tcp://[::1]:5750",
        "tcp://[::]:5750",
        "tcp://[fe80::1%eth0]:5750",
        "tcp://[fe80::1%br-12.3]:5750",
        "tcp://[fe80::1%4]:5750",
        "tcp://[2001:db8::5]:5750",
        "tcp://[::ffff:10.0.0.5]:5750",
    ],
)
def test_ipv6_hosts_are_read(address):
    assert Endpoint.parse(address).control == address


@pytest.mark.parametrize(
    ("address", "suffix"),
    [
        ("tcp://h:5750", "0"),
        ("tcp://h:5750", "65536"),
        ("tcp://h:5750", "5751@evil"),
        ("tcp://h:5750", "-weights"),
        ("tcp://h:5750", "57 51"),
        ("ipc:///tmp/x", "/../../etc/passwd"),
        ("ipc:///tmp/x", ".y"),
        ("ipc:///tmp/x", "-a\n"),
    ],
)
def test_a_suffix_from_a_stranger_leads_nowhere_else(address, suffix):
    with pytest.raises(AddressError):
        Endpoint.parse(address).at(suffix)


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("tcp://127.0.0.1:5750", True),
        ("tcp://127.1.2.3:5750", True),
        ("tcp://localhost:5750", True),
        ("tcp://[::1]:5750", True),
        ("tcp://[0:0:0:0:0:0:0:1]:5750", True),
        ("tcp://[::ffff:127.0.0.1]:5750", True),
        ("tcp://[::ffff:10.0.0.5]:5750", False),
        ("tcp://[fe80::1%eth0]:5750", False),
        ("ipc:///tmp/x", True),
        ("tcp://0.0.0.0:5750", False),
        ("tcp://*:5750", False),
        ("tcp://10.0.0.5:5750", False),
        ("tcp://[::]:5750", False),
        ("tcp://eth0:5750", False),
        ("tcp://127.example.com:5750", False),
        ("tcp://localhost.example.com:5750", False),
    ],
)
def test_loopback_addresses_are_told_from_others(address, local):
    assert Endpoint.parse(address).is_loopback is local


@pytest.mark.parametrize(
    ("bound", "reached"),
    [
        ("tcp://0.0.0.0:5750", "tcp://127.0.0.1:5750"),
        ("tcp://*:5750", "tcp://127.0.0.1:5750"),
        ("tcp://[::]:5750", "tcp://[::1]:5750"),
        ("tcp://[0:0::0]:5750", "tcp://[::1]:5750"),
        ("tcp://10.0.0.5:5750", "tcp://10.0.0.5:5750"),
        ("tcp://sim.lan:5750", "tcp://sim.lan:5750"),
        ("tcp://[2001:db8::5]:5750", "tcp://[2001:db8::5]:5750"),
        ("ipc:///tmp/x", "ipc:///tmp/x"),
    ],
)
def test_what_all_addresses_are_bound_for_is_reached_by_loopback_from_here(bound, reached):
    assert Endpoint.parse(bound).from_here.control == reached
