"""Matchmaking: fair, random where it may be, and nobody at two places at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brigade.sim.matchmaking import Matchmaker

KINDS = ["round_robin", "random"]


def matchmaker(population, seats, kind, seed=0) -> Matchmaker:
    return Matchmaker([population], [range(seats)], kind, np.random.default_rng(seed))


@given(
    seats=st.integers(1, 6),
    more=st.integers(0, 9),
    games=st.integers(1, 40),
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**31),
)
def test_a_match_seats_different_agents_and_every_game_is_counted(seats, more, games, kind, seed):
    population = seats + more
    maker = matchmaker(population, seats, kind, seed)
    counted = np.zeros(population, np.int64)
    for _ in range(games):
        match = maker.match()
        assert (match.shape, match.dtype) == ((seats,), np.int64)
        assert len(set(match.tolist())) == seats
        assert ((match >= 0) & (match < population)).all()
        counted[match] += 1
    assert np.array_equal(maker.games, counted)


@given(
    seats=st.integers(1, 6),
    more=st.integers(0, 9),
    games=st.integers(1, 60),
    seed=st.integers(0, 2**31),
)
def test_round_robin_seats_those_with_the_fewest_games(seats, more, games, seed):
    maker = matchmaker(seats + more, seats, "round_robin", seed)
    for _ in range(games):
        before = maker.games.copy()
        match = maker.match()
        waiting = np.setdiff1d(np.arange(seats + more), match)
        if len(waiting):
            assert before[match].max() <= before[waiting].min()
        assert maker.games.max() - maker.games.min() <= 1


def test_round_robin_catches_up_with_an_agent_that_fell_behind():
    maker = matchmaker(5, 2, "round_robin")
    maker.games[:] = [10, 10, 3, 10, 10]
    for _ in range(7):
        assert 2 in maker.match()


@pytest.mark.parametrize("kind", KINDS)
def test_ties_are_broken_and_seats_dealt_at_random(kind):
    # The first match of many runs: every agent in every seat equally often.
    population, seats, runs = 6, 3, 3000
    rng = np.random.default_rng(1)
    counts = np.zeros((seats, population))
    for _ in range(runs):
        match = Matchmaker([population], [range(seats)], kind, rng).match()
        counts[np.arange(seats), match] += 1
    p = 1 / population
    assert (np.abs(counts / runs - p) < 5 * np.sqrt(p * (1 - p) / runs)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_who_has_waited_longest_sits_in_any_seat(kind):
    # With one agent too many, the one that sat out is always among the next.
    maker = matchmaker(3, 2, kind)
    first_seat = waited = 0
    match = maker.match()
    for _ in range(1000):
        [waiting] = set(range(3)) - set(match.tolist())
        match = maker.match()
        first_seat += match[0] == waiting
        waited += waiting in match
    assert 0.4 < first_seat / waited < 0.6


def test_round_robin_mixes_who_meets_whom():
    maker = matchmaker(6, 2, "round_robin")
    met = np.zeros((6, 6))
    for _ in range(3000):
        a, b = maker.match()
        met[a, b] += 1
    pairs = (met + met.T)[np.triu_indices(6, 1)]
    assert pairs.min() > 0.7 * pairs.mean()
    assert pairs.max() < 1.3 * pairs.mean()


def test_random_matches_do_not_depend_on_the_games_before():
    maker = matchmaker(4, 1, "random")
    maker.games[:] = [10**6, 0, 0, 0]
    first = [int(maker.match()[0]) for _ in range(400)]
    assert 60 < first.count(0) < 140


@pytest.mark.parametrize("kind", KINDS)
def test_matches_follow_from_the_generator(kind):
    def matches(seed):
        maker = matchmaker(8, 4, kind, seed)
        return [maker.match().tolist() for _ in range(20)]

    assert matches(3) == matches(3)
    assert matches(3) != matches(4)


def test_more_seats_than_agents_are_refused():
    with pytest.raises(ValueError, match="5 seats for 4 agents"):
        matchmaker(4, 5, "random")


# ---- several roles -----------------------------------------------------------------------


@st.composite
def roles(draw):
    """Sizes of up to three roles, and how the seats of a game are dealt to them."""
    counts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    order = draw(st.permutations(range(sum(counts))))
    seats = [order[sum(counts[:role]) :][:count] for role, count in enumerate(counts)]
    sizes = draw(st.lists(st.integers(1, 6), min_size=len(counts), max_size=len(counts)))
    return sizes, seats


@given(
    roles=roles(),
    kind=st.sampled_from(KINDS),
    self_play=st.sampled_from([None, True, False]),
    seed=st.integers(0, 2**31),
)
def test_each_roles_seats_have_agents_of_that_role(roles, kind, self_play, seed):
    sizes, seats = roles
    generator = np.random.default_rng(seed)
    too_few = any(len(places) > size for size, places in zip(sizes, seats, strict=True))
    if self_play is False and too_few:
        with pytest.raises(ValueError, match="seats for"):
            Matchmaker(sizes, seats, kind, generator, self_play=self_play)
        return
    maker = Matchmaker(sizes, seats, kind, generator, self_play=self_play)
    counted = np.zeros(sum(sizes), np.int64)
    for _ in range(12):
        match = maker.match()
        assert match.shape == (sum(map(len, seats)),)
        np.add.at(counted, match, 1)
        first = 0
        for size, places in zip(sizes, seats, strict=True):
            mine = match[list(places)] - first
            assert ((mine >= 0) & (mine < size)).all()
            in_this_game = np.bincount(mine, minlength=size)
            if not self_play:  # as evenly as can be: nobody twice where there are enough
                assert in_this_game.max() - in_this_game.min() <= 1
                assert len(places) > size or in_this_game.max() == 1
            if kind == "round_robin":
                so_far = counted[first : first + size]
                assert so_far.max() - so_far.min() <= 1
            first += size
        assert np.array_equal(maker.games, counted)


def test_with_self_play_an_agent_meets_itself_and_without_it_does_not():
    def met_itself(self_play):
        maker = Matchmaker([4], [range(2)], "random", np.random.default_rng(1), self_play=self_play)
        return sum(len(set(maker.match().tolist())) == 1 for _ in range(400))

    assert 60 < met_itself(True) < 140  # one of four
    assert met_itself(None) == met_itself(False) == 0
