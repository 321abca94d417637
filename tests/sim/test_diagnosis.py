"""What holds a run up is named."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brigade.config import RunConfig
from brigade.env.scenarios import load_scenario
from brigade.games.bucket_brigade import describe
from brigade.sim.diagnosis import diagnose, is_one_rollout
from brigade.sim.matchmaking import steps_per_rollout
from brigade.wire.messages import LearnerReport


@dataclass
class Case:
    silent: float = 0.5
    wait: float = 0.1
    learn: float = 2.5

    @property
    def learner(self) -> LearnerReport:
        return LearnerReport(
            name="gpu-box", device="cuda:0", agents=[0, 1], versions=[3, 3], outstanding=[1, 1],
            silent_seconds=self.silent, learn_seconds=self.learn, wait_seconds=self.wait,
        )  # fmt: skip


def remarks(learners=(), free=(), awaited=(), waited=0.0):
    cases = [case.learner for case in learners]
    return diagnose(cases, free, awaited, waited=waited, lease_timeout=15)


def test_nothing_is_said_while_all_is_well():
    assert remarks([Case()]) == []
    assert remarks([Case()], awaited=[0, 1], waited=0.2) == [], "there is always something awaited"


def test_agents_without_a_learner_are_named():
    assert remarks(free=[2, 3]) == ["agents 2-3 have no learner"]
    assert remarks(free=[2], awaited=[2], waited=7.4) == [
        "agent 2 has no learner and the run has waited 7 s for one"
    ]


def test_a_learner_that_the_run_waits_for_is_named():
    assert remarks([Case()], awaited=[1], waited=4.2) == [
        "the run has waited 4 s for gpu-box (agents 0-1 on cuda:0), whose last update took 2.5 s"
    ]
    [remark] = remarks([Case(learn=0.0)], awaited=[1], waited=4.2)
    assert remark.endswith("which has made no update yet")


def test_a_silent_learner_is_named():
    [remark] = remarks([Case(silent=8)], awaited=[0], waited=8)
    assert "gpu-box" in remark
    assert "silent for 8 s; it counts as lost after 15 s" in remark


def test_a_simulator_that_all_learners_wait_for_is_named():
    slow = "the simulator is slow: every learner waits for it 75% of its time"
    assert remarks([Case(wait=7.5), Case(wait=10)]) == [slow]
    assert remarks([Case(wait=7.5), Case(wait=0.1)]) == [], "the other learner holds both up"
    assert remarks([Case(wait=7.5)], free=[3]) == ["agent 3 has no learner"]


MODES = ("simultaneous", "two_phase")
GAMES = [describe(load_scenario("default", commitment_mode=mode), 4) for mode in MODES]


@pytest.mark.parametrize("game", GAMES, ids=MODES)
@given(
    st.fixed_dictionaries(
        {
            "update_interval": st.integers(1, 200),
            "batch_size": st.integers(2, 512),
            "num_games": st.integers(1, 100),
            "num_episodes": st.integers(1, 2000),
            "num_transitions": st.none() | st.integers(1, 200_000),
            "max_nights": st.integers(1, 100),
            "exploring_starts": st.sampled_from([0.0, 0.5]),
        }
    )
)
def test_a_run_of_one_rollout_is_foreseen_where_no_game_ends_by_itself(game, settings):
    config = RunConfig(**settings)
    episodes = transitions = 0
    for step in range(1, steps_per_rollout(config, game) + 1):
        transitions += config.games * config.num_agents_per_game
        counts = episodes == 0 or not config.exploring_starts
        episodes += config.games * counts * (step % (game.steps_per_turn * config.max_nights) == 0)
    over = episodes >= config.num_episodes
    over |= config.num_transitions is not None and transitions >= config.num_transitions
    assert is_one_rollout(config, game) == over
