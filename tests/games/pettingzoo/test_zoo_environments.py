"""Others' environments, against PettingZoo's own loops written out here."""

import random
from itertools import count

import numpy as np
import pytest

from brigade.games.pettingzoo.description import describe
from brigade.games.pettingzoo.finding import find
from brigade.games.pettingzoo.game import Game, Settings, episode_seed
from brigade.games.pettingzoo.oddities import Oddity
from brigade.games.pettingzoo.parallel_game import ParallelGame
from brigade.games.pettingzoo.turn_game import TurnGame

pytestmark = pytest.mark.filterwarnings("ignore:The old environment creation API")

SEED = 11
TURN_BASED = [
    "pettingzoo.classic.tictactoe_v3",
    "pettingzoo.classic.connect_four_v3",
    "pettingzoo.classic.leduc_holdem_v4",
    "pettingzoo.classic.rps_v2:env",
    "mpe2.simple_tag_v3:env",
]
PARALLEL = [
    "pettingzoo.classic.rps_v2",
    "mpe2.simple_spread_v3",
    "mpe2.simple_tag_v3",
    "mpe2.simple_speaker_listener_v4",
]


def game_of(text, **arguments) -> tuple[Game, list]:
    maker = find(text, arguments)
    description = describe(maker)
    kind = TurnGame if description.turn_based else ParallelGame
    game = kind(maker, description.seating, Settings(seed=SEED))
    game.reset()
    return game, [seat.agent for seat in description.seating.seats]


def drawn(episode, number, agent, allowed):
    """A choice of a random policy that both loops draw alike."""
    generator = random.Random(f"{episode} {number} {agent}")
    return generator.choice(np.flatnonzero(allowed).tolist())


def by_lanes(game, agents, episodes):
    """Each episode's returns, and what was chosen, by whom."""
    played = []
    for episode in range(episodes):
        chosen = []
        for number in count():
            actions = [[-99]] * len(agents)  # who does not act must not be asked
            for seat in np.flatnonzero(game.active):
                choice = drawn(episode, number, agents[seat], game.rows.masks[seat])
                actions[seat] = [choice]
                chosen.append((number, agents[seat], choice))
            outcome = game.step(actions)
            if outcome.ended:
                played.append((dict(zip(agents, outcome.returns, strict=True)), chosen))
                break
    return played


def by_agent_iter(env, episodes):
    played = []
    for episode in range(episodes):
        env.reset(seed=episode_seed(SEED, 0, episode))
        returns, chosen, number = dict.fromkeys(env.possible_agents, 0.0), [], 0
        for agent in env.agent_iter():
            observation, reward, terminated, truncated, _ = env.last()
            returns[agent] += reward
            action = None
            if not (terminated or truncated):
                allowed = np.ones(env.action_space(agent).n)
                if isinstance(observation, dict):
                    allowed = observation["action_mask"]
                action = drawn(episode, number, agent, allowed)
                chosen.append((number, agent, action))
                number += 1
            env.step(action)
        played.append((returns, chosen))
    return played


def by_parallel_loop(env, episodes):
    played = []
    for episode in range(episodes):
        env.reset(seed=episode_seed(SEED, 0, episode))
        returns, chosen = dict.fromkeys(env.possible_agents, 0.0), []
        for number in count():
            if not env.agents:
                break
            actions = {}
            for agent in env.agents:
                actions[agent] = drawn(episode, number, agent, np.ones(env.action_space(agent).n))
                chosen.append((number, agent, actions[agent]))
            for agent, reward in env.step(actions)[1].items():
                returns[agent] += reward
        played.append((returns, chosen))
    return played


def same(ours, theirs):
    assert [chosen for _, chosen in ours] == [chosen for _, chosen in theirs]
    for (mine, _), (other, _) in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(other, rel=1e-12)  # sums in another order


@pytest.mark.parametrize("text", TURN_BASED)
def test_turn_based_games_have_the_returns_of_pettingzoos_loop(text):
    episodes = 2 if "mpe2" in text else 25
    game, agents = game_of(text)
    ours = by_lanes(game, agents, episodes)
    same(ours, by_agent_iter(find(text)(), episodes))
    again, _ = game_of(text)
    assert by_lanes(again, agents, episodes) == ours
    known = {Oddity.REWARD_TYPE}  # PettingZoo's own games give whole numbers
    assert set(game.oddities.counts) <= known


@pytest.mark.parametrize("text", PARALLEL)
def test_parallel_games_have_the_returns_of_pettingzoos_loop(text):
    game, agents = game_of(text)
    ours = by_lanes(game, agents, 2)
    same(ours, by_parallel_loop(find(text)(), 2))
    again, _ = game_of(text)
    assert by_lanes(again, agents, 2) == ours
    assert set(game.oddities.counts) <= {Oddity.REWARD_TYPE}


def test_rock_paper_scissors_is_one_game_however_it_is_played():
    """Turn by turn it takes twice the steps; the rewards are the same."""
    parallel, _ = game_of("pettingzoo.classic.rps_v2")
    turns, _ = game_of("pettingzoo.classic.rps_v2:env")
    moves = np.random.default_rng(1).integers(3, size=(15, 2, 1))
    for pair in moves:
        together = parallel.step(list(pair))
        turns.step(list(pair))
        one_by_one = turns.step(list(pair))
    assert together.ended
    assert one_by_one.ended
    assert together.returns.tolist() == one_by_one.returns.tolist()
    assert (together.length, one_by_one.length) == (15, 30)


def test_the_loser_of_tictactoe_gets_its_reward_with_the_winning_move():
    game, _ = game_of("pettingzoo.classic.tictactoe_v3")
    for place in (0, 3, 1, 4):
        outcome = game.step([[place]] * 2)
        assert not outcome.rewards.any()
    outcome = game.step([[2]] * 2)
    assert outcome.ended
    assert outcome.rewards.tolist() == [1, -1]
    assert outcome.terminated.tolist() == [True, True]
    # What the loser saw last is the board with the winner's move: its own marks, then the other's.
    own, others = np.moveaxis(game.rows.finals[1].reshape(3, 3, 2), 2, 0)
    assert own.tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert others.tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("text", "roles"),
    [
        ("mpe2.simple_spread_v3", [("agent", 3, 18, (5,))]),
        ("mpe2.simple_tag_v3", [("adversary", 3, 16, (5,)), ("agent", 1, 14, (5,))]),
        ("mpe2.simple_speaker_listener_v4", [("speaker", 1, 3, (3,)), ("listener", 1, 11, (5,))]),
        ("pettingzoo.classic.connect_four_v3", [("player", 2, 84, (7,))]),
        ("pettingzoo.classic.rps_v2", [("player", 2, 4, (3,))]),
    ],
)
def test_roles_of_known_environments(text, roles):
    found = describe(find(text)).seating.roles
    assert [(r.name, len(r.seats), r.num_features, r.action_nvec) for r in found] == roles


def test_spread_is_truncated_after_its_own_25_cycles_and_sees_what_pettingzoo_shows():
    game, agents = game_of("mpe2.simple_spread_v3", continuous_actions=True)
    env = find("mpe2.simple_spread_v3", {"continuous_actions": True})()
    shown, _ = env.reset(seed=episode_seed(SEED, 0, 0))
    rng = np.random.default_rng(2)
    for step in range(25):
        for seat, agent in enumerate(agents):
            assert np.array_equal(game.rows.observations[seat], shown[agent].astype(np.float32))
        rows = rng.normal(0.5, 1, (3, 5)).astype(np.float32)
        outcome = game.step(list(rows))
        clipped = ((rows + 1) / 2).clip(0, 1)  # -1 to 1 is the whole range
        shown, rewards, *_ = env.step(dict(zip(agents, clipped, strict=True)))
        assert outcome.rewards.tolist() == [rewards[agent] for agent in agents]
        assert outcome.truncated.all() == outcome.ended == (step == 24)
    assert not outcome.terminated.any()
    for seat, agent in enumerate(agents):
        assert np.array_equal(game.rows.finals[seat], shown[agent].astype(np.float32))
