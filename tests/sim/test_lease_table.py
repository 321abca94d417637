"""The lease table: who learns what, through any sequence of comings and goings."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brigade.sim.lease_table import SLOT_REST_SECONDS, Lease, LeaseTable, Refused, Slots

PEERS = [b"a", b"b", b"c", b"d"]
SLOTS = 6


def lease_table(population=8, lease_timeout=10.0, slots=3) -> LeaseTable:
    return LeaseTable(population, lease_timeout, slots)


def join(where: LeaseTable, peer: bytes, wanted: str, now=0.0) -> Lease:
    return where.join(peer, f"learner-{peer.decode()}", "cpu", wanted, now)


def refusal(where: LeaseTable, wanted: str, peer: bytes = b"new") -> str:
    before = dict(where.leases)
    with pytest.raises(Refused) as refused:
        join(where, peer, wanted)
    assert where.leases == before, "a refusal changes nothing"
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("wanted", "agents"),
    [
        ("0-7", (0, 1, 2, 3, 4, 5, 6, 7)),
        ("3", (3,)),
        ("5,1-2", (1, 2, 5)),
        ("1,1,0-1", (0, 1)),
        ("auto", (0, 1, 2, 3, 4, 5, 6, 7)),
        ("any:3", (0, 1, 2)),
    ],
)
def test_a_learner_gets_what_it_asks_for(wanted, agents):
    where = lease_table()
    lease = join(where, b"a", wanted)
    assert lease.agents == agents
    assert [where.lease_of(agent) for agent in range(8)] == [
        lease if agent in agents else None for agent in range(8)
    ]
    assert where.free == [agent for agent in range(8) if agent not in agents]


def test_what_is_left_goes_to_those_who_take_anything():
    where = lease_table()
    join(where, b"a", "1,3-4")
    assert join(where, b"b", "any:2").agents == (0, 2)
    assert join(where, b"c", "auto").agents == (5, 6, 7)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("8", "agents 0-7"),
        ("0-8", "agents 0-7"),
        ("999999", "agents 0-7"),
        ("any:9", "8 agents"),
        ("any:0", "no agent"),
        ("3-1", "comes before"),
        ("", "is not like"),
        ("x", "is not like"),
        ("-1", "is not like"),
        ("1.5", "is not like"),
        ("any:", "is not like"),
        ("any:-1", "is not like"),
        ("0,,1", "is not like"),
    ],
)
def test_what_does_not_exist_is_refused(wanted, says):
    assert says in refusal(lease_table(), wanted)


def test_what_is_taken_is_refused_with_the_taker_named():
    where = lease_table()
    join(where, b"a", "0-2")
    join(where, b"b", "5")
    assert "agents 1-2 already taken by learner-a" in refusal(where, "1-3")
    assert "agents 2, 5 already taken by learner-a, learner-b" in refusal(where, "2-5")
    assert "5 of 8" not in refusal(where, "any:5")
    assert "4 of 8 agents are free" in refusal(where, "any:5")
    join(where, b"c", "auto")
    assert "0 of 8 agents are free" in refusal(where, "auto")


def test_a_learner_that_leaves_frees_its_agents():
    where = lease_table()
    lease = join(where, b"a", "0-3")
    assert where.leave(b"a", 0.0) == lease
    assert where.leave(b"a", 0.0) is None
    assert where.free == list(range(8))
    assert join(where, b"b", "2").agents == (2,)


def test_a_lease_lasts_while_there_are_signs_of_life():
    where = lease_table(lease_timeout=10)
    join(where, b"a", "0", now=0)
    join(where, b"b", "1", now=0)
    assert where.heard(b"a", now=8)
    assert where.expire(now=10) == []
    assert [lease.peer for lease in where.expire(now=10.5)] == [b"b"]
    assert not where.heard(b"b", now=11), "what has run out is not revived"
    assert where.expire(now=18) == []
    assert [lease.peer for lease in where.expire(now=18.5)] == [b"a"]
    assert where.leases == {}


def test_a_stranger_has_no_lease_to_keep():
    assert not lease_table().heard(b"who", now=0)


EVENTS = st.lists(
    st.one_of(
        st.tuples(
            st.just("join"),
            st.sampled_from(PEERS),
            st.sampled_from(["auto", "any:1", "any:2", "0", "1-2", "0-4", "3,4", "4-9", "x"]),
        ),
        st.tuples(st.just("leave"), st.sampled_from(PEERS), st.none()),
        st.tuples(st.just("heard"), st.sampled_from(PEERS), st.none()),
        st.tuples(st.just("wait"), st.none(), st.floats(0, 8) | st.just(70.0)),
        st.tuples(st.just("expire"), st.none(), st.none()),
    ),
    max_size=40,
)


@settings(max_examples=200)
@given(events=EVENTS)
def test_no_agent_or_slot_ever_has_two_learners(events):
    population, lease_timeout, now = 5, 10.0, 0.0
    where = lease_table(population, lease_timeout, SLOTS)
    holders: dict[int, bytes] = {}  # by our own book-keeping
    seen: dict[bytes, float] = {}
    slots: dict[int, float] = {}  # when each was last let go; infinity while it is in use
    held: dict[bytes, int] = {}
    generations: set[int] = set()

    def end(peer):
        if peer in held:
            slots[held.pop(peer)] = now
        for agent in [a for a, p in holders.items() if p == peer]:
            del holders[agent]
        seen.pop(peer, None)

    for what, peer, argument in events:
        if what == "wait":
            now += argument
        elif what == "join" and peer not in seen:  # the server ends a lease before it joins anew
            try:
                lease = where.join(peer, "name", "cpu", argument, now)
            except Refused:
                continue
            assert lease.agents
            assert not set(lease.agents) & set(holders)
            holders |= dict.fromkeys(lease.agents, peer)
            seen[peer] = now
            rested = now - slots.get(lease.slot, -math.inf)
            assert rested >= SLOT_REST_SECONDS or len(slots) == SLOTS, "all others were used"
            assert slots.get(lease.slot, 0.0) < math.inf, "nobody has it"
            slots[lease.slot], held[peer] = math.inf, lease.slot
            assert lease.generation not in generations
            generations.add(lease.generation)
        elif what == "leave":
            lease = where.leave(peer, now)
            assert (lease is not None) == (peer in seen)
            end(peer)
        elif what == "heard":
            assert where.heard(peer, now) == (peer in seen)
            if peer in seen:
                seen[peer] = now
        elif what == "expire":
            lost = {lease.peer for lease in where.expire(now)}
            assert lost == {p for p, at in seen.items() if now - at > lease_timeout}
            for p in lost:
                end(p)
        for agent in range(population):
            lease = where.lease_of(agent)
            assert (lease.peer if lease else None) == holders.get(agent)
        assert where.free == [agent for agent in range(population) if agent not in holders]
        assert {p: set(x.agents) for p, x in where.leases.items()} == {
            p: {a for a, holder in holders.items() if holder == p} for p in seen
        }


def test_joining_twice_does_not_double_anything():
    where = lease_table(4)
    join(where, b"a", "0-1")
    join(where, b"a", "2")
    assert [where.lease_of(agent) is None for agent in range(4)] == [True, True, False, True]
    assert join(where, b"b", "auto").agents == (0, 1, 3)


def test_our_own_silence_is_not_held_against_anybody():
    where = lease_table(lease_timeout=10)
    join(where, b"a", "0", now=0)
    where.forgive(100)  # we were suspended for so long
    assert where.expire(now=105) == []
    assert [lease.peer for lease in where.expire(now=110.5)] == [b"a"]


@pytest.mark.parametrize(
    ("wanted", "final"),
    [("0", False), ("any:8", False), ("auto", False), ("8", True), ("any:9", True), ("x", True)],
)
def test_a_refusal_is_final_where_asking_again_will_not_help(wanted, final):
    where = lease_table()
    join(where, b"a", "auto")
    with pytest.raises(Refused) as refused:
        join(where, b"b", wanted)
    assert refused.value.final == final


def test_slots_come_back_when_they_have_rested_and_run_out_when_all_are_held():
    slots = Slots(3)
    assert [slots.take(0.0) for _ in range(4)] == [0, 1, 2, None]
    slots.let_go(1, 10.0)
    slots.let_go(0, 11.0)
    assert slots.take(12.0) == 1, "none else is left: the one that was let go the longest ago"
    assert slots.take(12.0) == 0
    few = Slots(10)
    assert [few.take(0.0) for _ in range(2)] == [0, 1]
    few.let_go(0, 5.0)
    assert few.take(6.0) == 2, "a learner that was slow may still come to 0"
    assert few.take(5.0 + SLOT_REST_SECONDS) == 0


def test_ten_thousand_learners_one_after_another_are_no_trouble():
    where = lease_table(slots=4)
    for number in range(10_000):
        lease = join(where, b"a", "auto")
        assert lease.slot < 4
        assert lease.generation == number + 1
        where.leave(b"a", 0.0)


def test_where_every_slot_is_held_asking_again_may_help():
    where = lease_table(slots=1)
    join(where, b"a", "0")
    with pytest.raises(Refused, match="in use") as refused:
        join(where, b"b", "1")
    assert not refused.value.final
    assert not refused.value.taken
