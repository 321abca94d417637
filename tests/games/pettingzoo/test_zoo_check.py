"""What a check says of environments with one fault each, and of real ones."""

import random
import re
from itertools import count

import numpy as np
import pytest
from gymnasium import spaces
from scripted_lives import ParallelLives, TurnLives

from brigade.config import RunConfig, convert
from brigade.games.pettingzoo.check import ROLLOUT_TRANSITIONS, check
from brigade.games.pettingzoo.errors import CannotFind
from brigade.games.pettingzoo.finding import find
from brigade.games.pettingzoo.findings import findings
from brigade.games.pettingzoo.vector_game import DEFAULTS
from brigade.games.pettingzoo.watching import digest

pytestmark = pytest.mark.filterwarnings("ignore:The old environment creation API")


def checked(env, seconds=1.0, **arguments):
    """Check by a clock that goes on with each look at it, so that machines do not differ."""
    look = count()
    return check(find(env, arguments), seconds, clock=lambda: next(look) / 1000)


def kinds(found):
    return [finding.kind for finding in findings(found)]


class Faultless:
    """Two agents see numbers of a generator of their own for 7 steps."""

    length = 7
    possible_agents = ("a_0", "a_1")

    def observation_space(self, agent):
        return spaces.Box(0, 1, (3,), np.float32)

    def action_space(self, agent):
        return spaces.Discrete(4)

    def seed(self, seed):
        self.chance = np.random.default_rng(seed)

    def draw(self, agent):
        return self.chance.random(3, dtype=np.float32)

    def reset(self, seed=None, options=None):
        self.seed(seed)
        self.agents, self.t = list(self.possible_agents), 0
        return {agent: self.draw(agent) for agent in self.agents}, {}

    def step(self, actions):
        self.t += 1
        seen = {agent: self.draw(agent) for agent in self.agents}
        rewards = {agent: float(action) for agent, action in actions.items()}
        ended = dict.fromkeys(self.agents, self.t == self.length)
        if self.t == self.length:
            self.agents = []
        return seen, rewards, ended, dict.fromkeys(ended, False), {}


class KeepsATimer(Faultless):
    """As knights-archers-zombies."""

    timer = 0

    def draw(self, agent):
        self.timer += 1
        return super().draw(agent) * (self.timer % 10 != 0)


class ResetDoesNotRepeat(Faultless):
    """As PyFlyt."""

    def reset(self, seed=None, options=None):
        observations, infos = super().reset(seed)
        observations["a_1"][2] = np.random.default_rng().random()
        return observations, infos


class StepDoesNotRepeat(Faultless):
    def draw(self, agent):
        part = 0.1 * np.random.default_rng().random() if self.t == 3 else 0
        return super().draw(agent) * np.float32(0.9) + np.float32(part)


class IgnoresItsSeed(Faultless):
    """As Pogema with a seed of its own."""

    def __init__(self):
        self.chance = np.random.default_rng(1)

    def seed(self, seed):
        pass


class OtherMap(Faultless):
    """As MettaGrid: whole numbers for agents, one buffer for ever, another map for each reset."""

    possible_agents = (0, 1)
    maps = np.random.default_rng()

    def __init__(self):
        self.buffer = np.zeros((2, 3), np.float32)

    def seed(self, seed):
        self.chance = np.random.default_rng(self.maps.integers(2**60))

    def draw(self, agent):
        self.buffer[agent] = super().draw(agent)
        return self.buffer[agent]


class SharesItsGenerator(Faultless):
    def seed(self, seed):
        type(self).chance = np.random.default_rng(seed)


class UsesNumPys(Faultless):
    def seed(self, seed):
        np.random.seed(seed)  # noqa: NPY002

    def draw(self, agent):
        return np.random.random(3).astype(np.float32)  # noqa: NPY002


class UsesPythons(Faultless):
    def draw(self, agent):
        random.random()  # of no consequence
        return super().draw(agent)


class TakesNoSeed(Faultless):
    def reset(self):
        return super().reset()


class LeavesItsSpace(Faultless):
    def draw(self, agent):
        return super().draw(agent) + np.float32(agent == "a_1")


class HasAnotherType(Faultless):
    def draw(self, agent):
        return super().draw(agent).astype(np.float64)


class Endless(Faultless):
    length = None


class Fails(Faultless):
    def step(self, actions):
        if self.t == 4:
            raise RuntimeError("the walls are on fire")
        return super().step(actions)


class FailsToClose(Faultless):
    def close(self):
        raise RuntimeError("it is open for ever")


def test_an_environment_without_faults():
    found = checked(Faultless)
    assert kinds(found) == []
    assert [(r.how, r.steps, r.whole) for r in found.repeats] == [
        (how, 7, True) for how in ("fresh", "reused", "interleaved")
    ]
    assert found.seed_matters
    [role] = found.roles
    assert (role.name, role.agents) == ("a", ("a_0", "a_1"))
    assert (role.observes, role.acts, role.masked) == ("3 float32, 0 to 1", "1 of 4", False)
    assert found.observation_bytes == 2 * 3 * 4
    assert found.rollout_bytes == ROLLOUT_TRANSITIONS * 3 * 4
    assert found.rate.alone > found.rate.in_brigade > 0
    assert found.rate.ratio == pytest.approx(found.rate.in_brigade / found.rate.alone)
    assert found.episodes.lengths == (7, 7, 7)
    assert found.episodes.ends == {"terminated": found.episodes.ended}
    assert found.episodes.returns["a"] == pytest.approx(7 * 1.5, rel=0.2)  # the mean of 0 to 3


@pytest.mark.parametrize(
    ("env", "kind", "words"),
    [
        (KeepsATimer, "reused", "--env-fresh"),
        (ResetDoesNotRepeat, "does_not_repeat", "Reset does not repeat.*observation of a_1"),
        (StepDoesNotRepeat, "does_not_repeat", "another at step 3"),
        (IgnoresItsSeed, "seed_ignored", "Its reset ignores the seed"),
        (OtherMap, "does_not_repeat", "Reset does not repeat.*observation of 0"),
        (OtherMap, "overwritten", r"handed out \(0, 1\)"),
        (SharesItsGenerator, "interleaved", "--env-workers"),
        (UsesNumPys, "interleaved", "--env-workers"),
        (UsesNumPys, "global_generator", r"numpy.random \(in reset\)"),
        (UsesPythons, "global_generator", r"shares, random \(in reset\)"),
        (TakesNoSeed, "no_seed", "seed=None"),
        (LeavesItsSpace, "outside", "a_1 got 1.*outside its space of 0 to 1"),
        (HasAnotherType, "outside", "a_0 got float64, where its space has float32"),
        (Endless, "endless", "No episode ended"),
        (Fails, "failure", r"step 4: RuntimeError: the walls are on fire \(test_zoo_check.py:"),
    ],
)
def test_each_fault_is_found_and_nothing_else(env, kind, words):
    found = checked(env)
    others = {"overwritten", "does_not_repeat"} if env is OtherMap else {kind}
    others |= {"interleaved", "global_generator"} if env is UsesNumPys else set()
    assert set(kinds(found)) == others
    [sentence] = [finding.sentence for finding in findings(found) if finding.kind == kind]
    assert re.search(words, sentence), sentence
    assert (found.failure is not None) == (kind == "failure")


def test_chance_that_is_still_to_come_is_not_taken_for_a_seed_that_is_ignored():
    """So early in an episode, nothing depends on the seed in knights-archers-zombies."""

    class Late(KeepsATimer):
        length = 10**6

        def draw(self, agent):
            late = np.float32(self.t >= 1000)
            return super().draw(agent) * late + np.float32(self.timer % 9 == 0) * (1 - late)

        def reset(self, seed=None, options=None):
            self.t = 0
            return super().reset(seed)

    found = checked(Late)
    assert found.seed_matters is None
    assert kinds(found) == ["reused", "endless"]


def test_the_step_at_which_a_reused_instance_parts():
    """Its timer counts observations of both agents, so that one in five moments is another."""
    found = checked(KeepsATimer)
    parted = {repeat.how: repeat.difference for repeat in found.repeats}
    assert parted["fresh"] is None
    assert parted["interleaved"] is None
    assert parted["reused"].step <= 4
    assert parted["reused"].what == "observation"


@pytest.mark.parametrize("kind", [ParallelLives, TurnLives])
def test_deaths_arrivals_and_ends(kind):
    """Dying before the end counts, ending with it does not; nor does being there from reset."""
    lives = {"a_0": "aaaat", "b_0": "aat..", "c_0": ".aaau"}
    rewards = {agent: [1.0] * 5 for agent in lives}
    found = checked(kind, lives=lives, rewards=rewards)
    episodes = found.episodes
    assert episodes.lengths == (4, 4, 4)
    assert episodes.deaths == episodes.ended
    assert episodes.ends == {"mixed": episodes.ended}
    # In each recorded episode that has begun, one; few of them are cut before it.
    assert episodes.arrivals > 0
    assert not checked(Faultless).episodes.arrivals
    assert "overwritten" in kinds(found)  # one array for each agent, on purpose
    assert found.turn_based == (kind is TurnLives)


@pytest.mark.parametrize(
    "text",
    [
        "mpe2.simple_spread_v3",
        "mpe2.simple_speaker_listener_v4",
        "pettingzoo.classic.rps_v2",
        "pettingzoo.classic.tictactoe_v3",
    ],
)
def test_real_environments_pass(text):
    found = checked(text, 2.0)
    assert kinds(found) == []
    assert all(repeat.whole for repeat in found.repeats)
    assert found.seed_matters == ("mpe2" in text)
    assert [role.masked for role in found.roles] == [
        "tictactoe" in text for _ in range(1 + ("speaker" in text))
    ]


def test_knights_archers_zombies_does_not_repeat_when_reused():
    pytest.importorskip("pygame", reason="PettingZoo's butterfly games need it")
    found = checked("pettingzoo.butterfly.knights_archers_zombies_v11", 1.0)
    parted = {repeat.how for repeat in found.repeats if repeat.difference is not None}
    assert parted == {"reused"}
    assert "reused" in kinds(found)


def test_what_cannot_be_closed_is_refused():
    with pytest.raises(CannotFind, match="FailsToClose fails at close: RuntimeError: it is open"):
        checked(FailsToClose)


def test_digests_are_exact():
    values = [
        0,
        0.0,
        -0.0,
        float("nan"),
        True,
        None,
        "0",
        [0, 1],
        [[0], 1],
        np.zeros(2, np.float32),
        np.zeros(2, np.float64),
        np.zeros((2, 1), np.float32),
        {"a": np.zeros(2), "b": 1},
        {"a": np.zeros(2), "b": 2},
    ]
    assert len({digest(value) for value in values}) == len(values)
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest(float("nan")) == digest(float("nan"))


def test_a_rollout_is_that_of_an_environments_defaults():
    assert convert(RunConfig, DEFAULTS).rollout_transitions == ROLLOUT_TRANSITIONS
