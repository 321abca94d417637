"""What environments do against the interface: put up with and counted, or one clear line."""

import re

import numpy as np
import pytest
from gymnasium import spaces
from scripted_lives import ParallelLives, TurnLives

from brigade.games.pettingzoo.description import describe
from brigade.games.pettingzoo.errors import CannotFind, EnvironmentRaised, InvalidData
from brigade.games.pettingzoo.finding import find
from brigade.games.pettingzoo.game import Settings
from brigade.games.pettingzoo.oddities import Oddity
from brigade.games.pettingzoo.parallel_game import ParallelGame
from brigade.games.pettingzoo.turn_game import TurnGame

LIVES = {"a_0": "aat..", "a_1": "aaaat"}
REWARDS = {"a_0": [0.0, 1.0, 2.0, 0.0, 0.0], "a_1": [0.0, 10.0, 20.0, 30.0, 40.0]}


class Changed(ParallelLives):
    """Its step returns what a function makes of what it would return."""

    def __init__(self, change):
        super().__init__(LIVES, REWARDS)
        self.change = change

    def step(self, actions):
        result = super().step(actions)
        return self.change(self, *result)


def start(make, **settings):
    maker = find(make)
    description = describe(maker)
    kind = TurnGame if description.turn_based else ParallelGame
    game = kind(maker, description.seating, Settings(**settings), number=3)
    game.reset()
    return game


def play(game):
    """One episode: its returns, and the outcomes."""
    outcomes = [game.step([[0]] * len(game.active))]
    while not outcomes[-1].ended:
        outcomes.append(game.step([[0]] * len(game.active)))
        assert len(outcomes) < 20
    return outcomes


def stays(env, *result):
    env.agents = ["a_0", "a_1"]
    return result


def drops_flags(env, o, r, t, u, i):
    return o, r, {k: v for k, v in t.items() if v}, u, i


def never_flags(env, o, r, t, u, i):
    return o, r, dict.fromkeys(t, False), u, i


def numpy_flags(env, o, r, t, u, i):
    return o, r, {k: np.bool_(v) for k, v in t.items()}, u, i


def whole_rewards(env, o, r, t, u, i):
    return o, {k: (int(v), np.float64(v))[env.t % 2] for k, v in r.items()}, t, u, i


def no_infos(env, o, r, t, u, i):
    return o, r, t, u, (None if env.t % 2 else dict.fromkeys(i))


def no_finals(env, o, r, t, u, i):
    return {k: v for k, v in o.items() if k in env.agents}, r, t, u, i


def ghost(env, o, r, t, u, i):
    if env.t == 3:  # a_0 is dead since step 2
        return o | {"a_0": np.zeros(2)}, r | {"a_0": 5.0}, t, u, i
    return o, r, t, u, i


def forgets_rewards(env, o, r, t, u, i):
    return o, {}, t, u, i


@pytest.mark.parametrize(
    ("change", "kinds", "first"),
    [
        (stays, {Oddity.STAYED: 2}, "game 3, step 1, agent a_0"),
        (drops_flags, {Oddity.NO_FLAG: 4}, "game 3, step 0, agent a_0"),
        (
            never_flags,
            {Oddity.LEFT_WITHOUT_FLAG: 2},
            "game 3, step 1, agent a_0",
        ),
        (numpy_flags, {Oddity.NUMPY_FLAG: 6}, "game 3, step 0, agent a_0"),
        (whole_rewards, {Oddity.REWARD_TYPE: 6}, "game 3, step 0, agent a_0"),
        (no_infos, {Oddity.NO_INFO: 2 + 2 + 1}, "game 3, step 0"),
        (no_finals, {Oddity.NO_FINAL_OBSERVATION: 2}, "game 3, step 1, agent a_0"),
        (
            ghost,
            {Oddity.NOT_IN_AGENTS: 1, Oddity.REWARD_WHILE_ABSENT: 1},
            "game 3, step 2, agent a_0",
        ),
        (forgets_rewards, {Oddity.NO_REWARD: 6}, "game 3, step 0, agent a_0"),
    ],
)
def test_oddities_change_no_life_and_are_counted(change, kinds, first):
    game = start(lambda: Changed(change))
    outcomes = play(game)
    for _ in range(2):  # the second episode has the same
        assert len(outcomes) == 4
        ends = [(o.terminated | o.truncated).tolist() for o in outcomes]
        assert ends == [[False, False], [True, False], [False, False], [False, True]]
        rule = change is not never_flags
        assert [o.terminated.any() for o in outcomes] == [False, rule, False, rule]
        extra = 5 if change is ghost else 0
        returns = [0, 0] if change is forgets_rewards else [3 + extra, 100]
        assert outcomes[-1].returns.tolist() == returns
        last = outcomes
        outcomes = play(game)
    assert len(last) == 4
    assert game.oddities.counts == {kind: 3 * count for kind, count in kinds.items()}
    assert game.oddities.first[next(iter(kinds))] == first


def float64_rewards(env, o, r, t, u, i):
    return o, {k: np.float64(v) for k, v in r.items()}, t, u, i


def huge_rewards(env, o, r, t, u, i):
    """Whose sum is more than float32 holds."""
    return o, dict.fromkeys(r, 3e38) if env.t == 1 else r, t, u, i


@pytest.mark.parametrize(
    "change",
    [
        *(stays, drops_flags, never_flags, numpy_flags, whole_rewards, no_infos, no_finals, ghost),
        *(forgets_rewards, float64_rewards, huge_rewards),
    ],
)
def test_agents_looked_at_together_are_as_one_by_one(change, monkeypatch):
    """Until one ends, all are looked at together, if nothing is odd."""
    told = []
    for together in (True, False):
        if not together:
            monkeypatch.setattr(ParallelGame, "_nobody_ends", lambda *_: False)
        game = start(lambda: Changed(change))
        seen = []
        for _ in range(9):
            outcome = game.step([[0]] * 2)
            seen += [part.tolist() for part in outcome[:3]]
            seen += [row.tolist() for row in (*game.rows.observations, *game.rows.finals)]
            seen += [game.active.tolist(), outcome.returns.tolist()]
        told.append((seen, game.oddities.counts, game.oddities.first))
    assert told[0] == told[1]


def test_an_agent_that_is_not_shown_anything_is_not_asked():
    def hide(env, o, r, t, u, i):
        return ({} if env.t == 1 else o), r, t, u, i

    game = start(lambda: Changed(hide))
    outcome = game.step([[0], [0]])
    assert game.active.tolist() == [False, False]
    assert not outcome.ended
    assert not (outcome.terminated | outcome.truncated).any()
    game.step([[0], [0]])
    assert game.active.tolist() == [False, True]
    assert game.oddities.counts[Oddity.UNSEEN] == 2


def test_a_reset_without_seed_is_noted():
    class NoSeed(ParallelLives):
        def reset(self):
            return super().reset()

    game = start(lambda: NoSeed(LIVES, REWARDS))
    assert game.oddities.counts == {Oddity.NO_SEED: 1}


# ---- one line each -----------------------------------------------------------------------


def fault(make, **settings):
    """What is wrong with the first episode."""
    with pytest.raises(InvalidData) as caught:
        play(start(make, **settings))
    assert "\n" not in str(caught.value)
    assert caught.value.game == 3
    return caught.value


def vector(env, o, r, t, u, i):
    return o, {k: np.array([v, 1.0, 2.0]) for k, v in r.items()}, t, u, i


def test_vectors_of_rewards_need_weights():
    error = fault(lambda: Changed(vector))
    assert "a reward of 3 parts" in str(error)
    assert "--reward-weights 1,1,1" in str(error)
    assert error.agent == "a_0"
    assert "--reward-weights has 2" in str(
        fault(lambda: Changed(vector), reward_weights=(1.0, 1.0))
    )
    game = start(lambda: Changed(vector), reward_weights=(1.0, 0.5, -1.0))
    assert play(game)[-1].returns.tolist() == [3 - 2 * 1.5, 100 - 4 * 1.5]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda env, o, *more: (o | {"a_1": np.full(2, np.nan)}, *more),
            "agent a_1, step 0: an obs",
        ),
        (
            lambda env, o, *more: (o | {"a_1": np.zeros(3)}, *more),
            r"has the shape \[3\], not \[2\]",
        ),
        (
            lambda env, o, r, *more: (o, r | {"a_1": np.nan}, *more),
            "agent a_1, step 0: a reward of",
        ),
        (lambda env, o, r, *more: (o, r | {"a_1": -1e39}, *more), "beyond what float32 holds"),
        (lambda env, o, r, *more: (o, r | {"a_1": 10**400}, *more), "agent a_1, step 0: a reward"),
        (lambda env, o, r, *more: (o, r | {"a_1": "much"}, *more), "which is not a number"),
        (lambda env, o, r, t, u, i: (o, r, t, i), r"step returned \(dict, dict, dict, dict\), not"),
        (lambda env, *result: None, "step returned NoneType, not"),
        (
            lambda env, *result: env.agents.append("x") or result,
            "agent x, step 0: an agent that is",
        ),
        (lambda env, *result: (*result[:2], {"a_0": np.ones(2)}, {}, {}), "a flag of"),
    ],
)
def test_what_a_step_must_not_return(change, words):
    error = fault(lambda: Changed(change))
    assert re.search(words, str(error))
    assert error.step == 0


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({}, r"step 0: reset returned dict, not \(observations, infos\)"),
        (None, "reset returned NoneType"),
        ((None, {}), r"reset returned \(NoneType, dict\)"),
        (({}, {}), "nobody is in `agents` after reset"),
    ],
)
def test_what_a_reset_must_not_return(result, words):
    class Env(ParallelLives):
        def __init__(self):
            super().__init__(LIVES, REWARDS)

        def reset(self, seed=None):
            self.agents = []
            return result

    assert re.search(words, str(fault(Env)))


# ---- masks -------------------------------------------------------------------------------


class Masked(ParallelLives):
    """Masks in the infos, as arrays and lists."""

    def __init__(self, masks):
        super().__init__({"a_0": "aaaat"}, {"a_0": [0.0] * 5})
        self.masks = masks

    def info(self):
        mask = self.masks[self.t] if self.t < len(self.masks) else None
        return {"a_0": {} if mask is None else {"action_mask": mask}}

    def reset(self, seed=None):
        return super().reset(seed)[0], self.info()

    def step(self, actions):
        return *super().step(actions)[:4], self.info()


def test_masks_come_from_the_infos():
    game = start(lambda: Masked(([0, 1, 1], np.array([1, 0, 0]))))
    seen = [game.rows.masks[0].tolist()]
    for _ in range(4):
        game.step([[0]])
        seen.append(game.rows.masks[0].tolist())
    assert seen == [[False, True, True], [True, False, False], [True] * 3, [True] * 3, seen[0]]


def test_masks_of_an_environment_that_takes_no_seed_are_found():
    class Seedless(Masked):
        def reset(self):
            return super().reset()

    assert start(lambda: Seedless(([0, 1, 1],))).rows.masks[0].tolist() == [False, True, True]


def test_masks_that_only_others_have_are_found_before_their_turn():
    class Turns(TurnLives):
        def reset(self, seed=None, options=None):
            super().reset(seed)
            self.infos["b_0"] = {"action_mask": [0, 1, 1]}

    seating = describe(find(lambda: Turns({"a_0": "aat", "b_0": "aat"}, {}))).seating
    assert [role.masked for role in seating.roles] == [True, True]


def test_a_mask_of_zeros_names_the_agent():
    error = fault(lambda: Masked(([1, 1, 1], [1, 0, 0], [0, 0, 0])))
    assert "agent a_0, step 1: an action mask of zeros" in str(error)
    error = fault(lambda: Masked(([1, 1],)))
    assert "agent a_0, step 0: an action mask of 2 entries for 3 choices" in str(error)


def test_a_mask_that_comes_only_later_is_not_ignored():
    error = fault(lambda: Masked((None, None, [1, 0, 1])))
    assert "agent a_0, step 1: an action mask, where neither the space nor the first" in str(error)
    start(lambda: Masked((None, [1, 1, 1]))).step([[0]])  # which closes nothing


# ---- exceptions --------------------------------------------------------------------------


def raises(*args, **kwargs):
    raise KeyError("no\nsuch thing")


def test_exceptions_carry_where_they_were_raised():
    def at_two(env, *result):
        return raises() if env.t == 2 else result

    game = start(lambda: Changed(at_two))
    game.step([[0], [0]])
    with pytest.raises(EnvironmentRaised) as caught:
        game.step([[0], [0]])
    error = caught.value
    assert isinstance(error.__cause__, KeyError)
    assert (error.game, error.agent, error.step) == (3, None, 1)
    assert str(error) == r"<lambda>, game 3, step 1: KeyError: 'no\nsuch thing'"


@pytest.mark.parametrize("name", ["step", "last", "observe"])
def test_exceptions_of_a_turn_name_whose_it_was(name):
    env = TurnLives(LIVES, REWARDS)
    game = start(lambda: env, max_steps=2)
    game.step([[0], [0]])
    setattr(env, name, raises)
    with pytest.raises(EnvironmentRaised, match="KeyError") as caught:
        game.step([[0], [0]])
    # It is a_1's turn; who asks after its step is a_0, which has died.
    assert caught.value.agent == ("a_1" if name == "step" else "a_0")


def test_a_fresh_environment_that_cannot_be_made_is_a_fault_of_the_game():
    made = []

    def make():
        made.append(1)
        return ParallelLives(LIVES, REWARDS) if len(made) < 3 else raises()

    game = start(make, fresh=True)
    with pytest.raises(EnvironmentRaised, match="could not be made") as caught:
        play(game)
    assert isinstance(caught.value.__cause__, CannotFind)


# ---- turn-based --------------------------------------------------------------------------


class Undead(TurnLives):
    """Keeps its dead in `agents`, and gives them turns."""

    def __init__(self):
        super().__init__(LIVES, REWARDS)

    def _was_dead_step(self, action):
        living = [agent for agent in self.agents if not self.terminations[agent]]
        self.agent_selection = living[0] if living else self.agent_selection
        self._clear_rewards()


def test_a_turn_based_game_whose_dead_stay():
    game = start(Undead)
    outcomes = play(game)
    assert [o.terminated.tolist() for o in outcomes][1] == [True, False]
    assert outcomes[-1].terminated.tolist() == [False, True]
    assert game.oddities.counts[Oddity.STAYED] >= 2


class Restless(TurnLives):
    """Its a_1 is back as soon as it was stepped with None."""

    def _was_dead_step(self, action):
        agent = self.agent_selection
        super()._was_dead_step(action)
        if agent == "a_1" and self.agents:
            self._arrive(agent)
            self.agent_selection = agent


def test_an_agent_that_dies_and_returns_within_a_turn():
    lives = {"a_0": "aaat", "a_1": "atat"}  # after one turn, and again in the end
    game = start(lambda: Restless(lives, dict.fromkeys(lives, [1.0] * 4)))
    outcome = game.step([[0], [0]])
    assert outcome.terminated.tolist() == [False, True]
    assert game.active.tolist() == [False, True]
    assert game.rows.finals[1].tolist() == [1, 1]
    last = play(game)[-1]
    assert last.terminated.tolist() == [True, True]
    assert not game.oddities.counts


class Vanishing(TurnLives):
    """Empties `agents` at its end, so that nobody is told its last rewards."""

    def __init__(self, flags=True):
        super().__init__({"a_0": "aat", "a_1": "aat"}, {"a_0": [0, 1, 2], "a_1": [0, 4, 8]})
        self.flags = flags

    def step(self, action):
        super().step(action)
        if any(self.terminations.values()):
            self.agents = []
            if not self.flags:
                self.terminations = {}


@pytest.mark.parametrize("flags", [True, False])
def test_rewards_of_a_turn_based_game_whose_agents_vanish(flags):
    game = start(lambda: Vanishing(flags))
    last = play(game)[-1]
    assert last.returns.tolist() == [3, 12]
    assert last.terminated.tolist() == [flags] * 2
    assert last.truncated.tolist() == [not flags] * 2
    assert (Oddity.LEFT_WITHOUT_FLAG in game.oddities.counts) != flags


def test_continuous_actions_reach_the_environment_as_its_space_has_them():
    space = spaces.Box(-1, 1, (2, 1), np.float64)
    got = []

    class Env(ParallelLives):
        def __init__(self):
            super().__init__(LIVES, REWARDS)

        def action_space(self, agent):
            return space

        def step(self, actions):
            got.append(actions)
            return super().step(actions)

    game = start(Env)
    game.step([np.array([0.5, 9], np.float32), np.array([-9, 0], np.float32)])
    assert all(space.contains(action) for action in got[0].values())
    assert got[0]["a_0"].tolist() == [[0.5], [1]]
    assert got[0]["a_1"].tolist() == [[-1], [0]]
