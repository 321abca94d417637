"""The rollout worker: what it records is what single engines say happened, to whom it happened."""

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from torch.distributions import Categorical

import brigade
from brigade import seeds
from brigade.config import RunConfig
from brigade.games.bucket_brigade import describe
from brigade.policy.build import network_for
from brigade.policy.network import DETAIL, Network
from brigade.ppo.agents import AgentState, initial_state
from brigade.sim.episodes import Episodes
from brigade.sim.matchmaking import steps_per_rollout
from brigade.sim.preparation import games_of, population_of
from brigade.sim.repository import Repository
from brigade.sim.rollout_worker import RolloutWorker

SEED = 99
ONE_PHASE = brigade.load_scenario("default", num_houses=6, min_nights=2)
TWO_PHASE = brigade.load_scenario(
    "default", num_houses=5, min_nights=2, commitment_mode="two_phase"
)
SCENARIOS = {"one phase": ONE_PHASE, "two phases": TWO_PHASE}


def run_config(**changes: Any) -> RunConfig:
    usual: dict[str, Any] = {
        "population_size": 5,
        "num_games": 7,
        "num_agents_per_game": 3,
        "hidden_size": 8,
        "batch_size": 24,
        "update_interval": 8,
        "num_epochs": 2,
        "max_nights": 6,
        "gamma": 0.9,
    }
    return RunConfig(**(usual | changes))


def distinct_states(network: Network, agents: int) -> list[AgentState]:
    """Agents that act and value quite differently, so that a mix-up shows."""
    states = []
    for agent in range(agents):
        state = initial_state(network, SEED, agent)
        views = network.views(torch.from_numpy(state.parameters)[None])
        views["heads.weight"][..., :-1] *= 100
        mean, deviation = 3.0 * agent, 1.0 + agent
        state.statistics[:] = 1.0, mean, mean**2 + deviation**2
        states.append(state)
    return states


def make(config: RunConfig, scenario: brigade.Scenario, seed: int = SEED) -> RolloutWorker:
    game = describe(scenario, config.num_agents_per_game)
    population = population_of(config, game)
    repository = Repository(population)
    for agent, state in enumerate(distinct_states(population.network, population.size)):
        repository.add(agent, state)
    repository.act_with(dict.fromkeys(range(population.size), 0))
    # Games are seeded here as the rest is, whatever the settings' own seed.
    games = games_of(msgspec.structs.replace(config, seed=seed), game)
    return RolloutWorker(config, games, repository, seed)


@dataclass
class Ending:
    lanes: np.ndarray
    agents: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    following: np.ndarray


class Listener:
    """Stands before the buffer and keeps whatever the worker tells it."""

    def __init__(self, worker: RolloutWorker) -> None:
        [self.part] = worker._parts
        self.buffer, self.part.buffer = self.part.buffer, self
        self.steps: list[dict[str, np.ndarray]] = []
        self.endings: list[list[Ending]] = []
        self.seats: list[np.ndarray] = []
        self.worker = worker

    def record(self, **step: np.ndarray) -> None:
        self.steps.append({name: array.copy() for name, array in step.items()})
        self.seats.append(self.worker.seats.copy())
        self.endings.append([])
        self.buffer.record(**step)

    def end(self, lanes, agents, terminated, truncated, following, pictures) -> None:
        assert pictures is None
        arrays = (lanes, agents, terminated, truncated, following)
        self.endings[-1].append(Ending(*(array.copy() for array in arrays)))
        self.buffer.end(lanes, agents, terminated, truncated, following)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.buffer, name)

    def leave(self) -> None:
        self.part.buffer = self.buffer


def play(worker: RolloutWorker, steps: int) -> tuple[Listener, list[Episodes]]:
    listener = Listener(worker)
    episodes = []
    for _ in range(steps):
        if listener.buffer.filled == listener.buffer.steps:
            worker.cut()
            worker.clear()
        episodes.append(worker.step())
    return listener, episodes


def check_observation(engine, layout, observation, phase, round1=None) -> None:
    """Compare a match's observations ``[A, F]`` with the engine's own state."""
    num_seats, houses = engine.num_agents, engine.houses
    one_hot = (houses[:, None] == np.arange(3)).astype(np.float32).ravel()
    same_for_all = {
        "houses": one_hot,
        "fire_progress": engine.fire_progress,
        "positions": engine.positions / np.float32(len(houses) - 1),
        "signals": engine.signals,
        "last_modes": engine.last_actions[:, 1],
        "phase": [phase],
    }
    if round1 is not None:
        same_for_all["round1_signals"] = round1
    for name, expected in same_for_all.items():
        rows = np.tile(np.asarray(expected, np.float32), (num_seats, 1))
        np.testing.assert_allclose(observation[:, layout[name]], rows, rtol=1e-6, err_msg=name)
    assert np.array_equal(observation[:, layout["seat"]], np.eye(num_seats))


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_what_is_recorded_is_what_single_engines_played(scenario):
    config = run_config()
    worker = make(config, scenario)
    listener, episodes = play(worker, 60)
    layout = brigade.observation_layout(scenario, 3)
    number = seeds.number(SEED, seeds.Purpose.GAMES)
    game_seeds = np.random.SeedSequence(number).generate_state(7, np.uint64)
    two_phase = scenario is TWO_PHASE
    kinds, changes = {"terminated": 0, "truncated": 0}, 0
    env = brigade.BatchedEnv(7, scenario, 3, config.max_nights, seed=game_seeds.tolist())
    env.reset()
    for step in listener.steps:
        joint = step["actions"].reshape(7, 3, 3)
        default = env.default_outcomes(joint)
        env.step(joint)
        own = np.diagonal(default.rewards, axis1=1, axis2=2)
        assert np.array_equal(step["default_rewards"], own.ravel())
        assert np.array_equal(step["default_terminated"], default.terminated.ravel())
        assert np.array_equal(step["changed"], default.changed.ravel())
        assert np.array_equal(step["default_observations"], default.observations.reshape(21, -1))
        changes += default.changed.sum()
    for game, game_seed in enumerate(game_seeds):
        engine = brigade.Engine(scenario, 3, int(game_seed))
        lanes = np.arange(3) + 3 * game
        returns, nights, round1 = np.zeros(3), 0, None
        for t, step in enumerate(listener.steps):
            actions = step["actions"][lanes]
            phase = int(two_phase and round1 is None)
            check_observation(engine, layout, step["observations"][lanes], phase, round1)
            mine = [e for e in listener.endings[t] if np.isin(lanes, e.lanes).any()]
            works = (actions[:, 1] == 1) & (phase == 0)
            expected = np.stack([works, np.full(3, phase == 0), np.ones(3, np.bool_)], 1)
            assert np.array_equal(step["component_mask"][lanes], expected)
            if phase:
                round1 = actions[:, 2]
                assert not step["rewards"][lanes].any()
                assert (step["discounts"][lanes] == 1).all()
                assert mine == []
                continue
            rewards, done = engine.step(actions, *([round1] if two_phase else []))
            round1 = None
            returns, nights = returns + rewards, nights + 1
            assert np.array_equal(step["rewards"][lanes], rewards)
            assert step["discounts"][lanes] == pytest.approx(0.9)
            over = done or nights == config.max_nights
            assert bool(mine) == over
            if not over:
                continue
            [ending] = mine
            here = np.isin(ending.lanes, lanes)
            assert ending.lanes[here].tolist() == lanes.tolist()
            assert ending.agents[here].tolist() == listener.seats[t][game].tolist()
            assert (ending.terminated[here] == done).all()
            assert (ending.truncated[here] == (not done)).all()
            kinds["terminated" if done else "truncated"] += 1
            last = ending.following[here]
            one_hot = (engine.houses[:, None] == np.arange(3)).ravel()
            assert (last[:, layout["houses"]] == one_hot).all()
            row = np.flatnonzero((episodes[t].agents == ending.agents[here]).all(1))
            assert any(
                episodes[t].lengths[r] == nights
                and np.allclose(episodes[t].returns[r], returns, rtol=1e-6)
                for r in row
            )
            engine.reset()
            returns, nights = np.zeros(3), 0
    assert min(kinds.values()) > 5, "the case covers both endings"
    assert changes > 0, "and actions that make a difference"
    assert sum(len(e.lengths) for e in episodes) == sum(kinds.values())


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_games_are_numbered_as_they_begin(scenario):
    worker = make(run_config(), scenario)
    steps_of_a_night = 2 if scenario is TWO_PHASE else 1
    began, cut = {}, {}
    for t, ended in enumerate(play(worker, 80)[1]):
        for number, length, was_cut in zip(ended.numbers, ended.lengths, ended.cut, strict=True):
            assert number not in began
            began[number] = t + 1 - steps_of_a_night * length
            cut[number] = was_cut, length
    whole = sorted(began)
    assert whole[:7] == list(range(7))
    assert [began[number] for number in whole[:7]] == [0] * 7, "they begin together"
    assert sorted(began.values()) == [began[number] for number in whole]
    assert len(whole) > 50
    assert whole[-1] < len(whole) + 7, "only games under way are missing"
    assert all(length == 6 for was_cut, length in cut.values() if was_cut)
    assert {was_cut for was_cut, _ in cut.values()} == {True, False}


def test_games_that_went_on_from_a_saved_state_have_no_number():
    earlier = make(run_config(), ONE_PHASE)
    play(earlier, 9)
    worker = make(run_config(), ONE_PHASE)
    worker.restore(earlier.state())
    numbers = np.concatenate([ended.numbers for ended in play(worker, 60)[1]])
    assert (numbers < 0).sum() == 7
    assert sorted(numbers[numbers >= 0])[:20] == list(range(20))


def test_each_row_is_acted_and_valued_by_the_agent_in_its_seat():
    config = run_config()
    worker = make(config, ONE_PHASE)
    network = network_for(describe(ONE_PHASE, 3).role, config.hidden_size)
    states = distinct_states(network, 5)
    listener, _ = play(worker, 20)
    for step, seats in zip(listener.steps, listener.seats, strict=True):
        for lane, agent in enumerate(seats.ravel()):
            row = torch.from_numpy(states[agent].parameters).double()
            p = network.state_dict(row)
            x = torch.from_numpy(step["observations"][lane]).double()
            for layer in ("hidden1", "hidden2"):
                x = torch.relu(x @ p[f"{layer}.weight"] + p[f"{layer}.bias"])
            heads = x @ p["heads.weight"] + p["heads.bias"]
            query, out = heads[: network.query_size], heads[network.query_size :]
            features = torch.from_numpy(step["observations"][lane]).double()
            for house, columns in enumerate(network.choices):
                seen = query[: network.num_seen]
                out[house] = DETAIL * out[house] + seen @ features[list(columns)]
            out[7] += out[:6].exp().mean().log()  # to work
            attention = out[:6].softmax(0)
            seat_rank = (2 * (lane % 3) + 1) / 3 - 1
            for house in range(6):
                balance = attention[:house].sum() - attention[house + 1 :].sum()
                out[house] += (
                    query[-1] * attention[house] ** 2 * balance * (2 * seat_rank - balance)
                )
                out[house] += query[network.num_seen : -1] @ features[list(network.private[house])]
            action = torch.from_numpy(step["actions"][lane].astype(np.int64))
            parts = out[:-1].split([6, 2, 2])
            counts = (action[1] == 1, True, True)  # a resting agent's house has no effect
            log_prob = sum(
                Categorical(logits=part).log_prob(a)
                for part, a, matters in zip(parts, action, counts, strict=True)
                if matters
            )
            assert step["log_probs"][lane] == pytest.approx(float(log_prob), abs=1e-4)
            value = float(out[-1]) * (1.0 + agent) + 3.0 * agent
            assert step["values"][lane] == pytest.approx(value, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("scenario", [ONE_PHASE, TWO_PHASE])
def test_the_network_points_at_houses_by_all_that_is_seen_of_each(scenario):
    network = network_for(describe(scenario, 4).role, 8)
    env = brigade.BatchedEnv(1, scenario, 4, seed=3)
    env.reset()
    env.step(np.array([[[1, 1, 0], [1, 1, 1], [2, 0, 0], [4, 1, 0]]], np.int32))
    layout = brigade.observation_layout(scenario, 4)
    seen = env.observations[0, 1]
    for house in range(scenario.num_houses):
        houses = seen[layout["houses"]].reshape(-1, 3)
        others = [seen[layout[name]][house] for name in ("fire_progress", "workers")]
        expected = [*houses[house], *others]
        np.testing.assert_array_equal(seen[list(network.choices[house])], expected)
        own = [seen[layout[name]][house] for name in ("owned", "home")]
        np.testing.assert_array_equal(seen[list(network.private[house])], own)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
@pytest.mark.parametrize("share", [0.0, 0.4, 0.9])
def test_a_share_of_the_games_starts_in_any_state(scenario, share):
    games, num_houses = 20, scenario.num_houses
    worker = make(run_config(exploring_starts=share, num_games=games), scenario)
    listener, episodes = play(worker, 300)
    states, ended, told = set(), 0, 0
    for t in range(299):
        told += len(episodes[t].lengths)
        for ending in listener.endings[t]:
            for lane in ending.lanes[::3]:
                seen = listener.steps[t + 1]["observations"][lane]
                houses = seen[: 3 * num_houses].reshape(num_houses, 3).argmax(1)
                states.add((int((houses == 2).sum()), int((houses == 1).sum())))
                ended += 1
    assert ended > 500
    # All but the first games are as likely to have started anywhere; those are not told of.
    assert abs((told - games) / (ended - games) - (1 - share)) < 0.1
    anywhere = {(ruined, burning) for ruined, burning in states if ruined}
    if share == 0:
        assert not anywhere
    else:
        assert {ruined for ruined, _ in anywhere} == set(range(1, num_houses))
        assert {burning for _, burning in anywhere} == {1, 2, 3}


def test_seats_change_between_games_and_only_there():
    worker = make(run_config(), ONE_PHASE)
    listener, _ = play(worker, 40)
    seated = [*listener.seats, worker.seats]
    changed = 0
    for t, endings in enumerate(listener.endings):
        ended = {int(lane) // 3 for e in endings for lane in e.lanes}
        for game in range(7):
            before, after = seated[t][game], seated[t + 1][game]
            assert len(set(after.tolist())) == 3
            if game not in ended:
                assert np.array_equal(before, after)
            else:
                changed += not np.array_equal(before, after)
    assert changed > 10


@pytest.mark.parametrize("spirit", [0.0, 0.3, 1.0])
def test_team_spirit_mixes_training_rewards_and_leaves_the_games_own_alone(spirit):
    config = run_config(team_spirit=spirit)
    scenario = brigade.load_scenario(ONE_PHASE, cost_to_work_one_night=3.0)
    worker = make(config, scenario)
    listener, episodes = play(worker, 30)
    number = seeds.number(SEED, seeds.Purpose.GAMES)
    game_seeds = np.random.SeedSequence(number).generate_state(7, np.uint64)
    engine = brigade.Engine(scenario, 3, int(game_seeds[0]))
    env = brigade.BatchedEnv(7, scenario, 3, config.max_nights, seed=game_seeds.tolist())
    env.reset()
    returns = np.zeros(3)
    unequal = finished = 0
    for t, step in enumerate(listener.steps):
        joint = step["actions"].reshape(7, 3, 3)
        default = [
            (1 - spirit) * all_seats[seat] + spirit * all_seats.mean()
            for seat, all_seats in enumerate(env.default_outcomes(joint).rewards[0])
        ]
        env.step(joint)
        own, _ = engine.step(step["actions"][:3])
        mixed = (1 - spirit) * own + spirit * own.mean()
        np.testing.assert_allclose(step["rewards"][:3], mixed, rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(step["default_rewards"][:3], default, rtol=1e-5, atol=1e-4)
        unequal += len(set(own.tolist())) > 1
        returns += own
        if any(0 in ending.lanes for ending in listener.endings[t]):
            finished += 1
            assert any(np.allclose(found, returns, rtol=1e-6) for found in episodes[t].returns)
            returns[:] = 0
            engine.reset()
    assert unequal > 5
    assert finished > 2


def test_a_rollout_has_every_step_of_every_seat_once():
    config = run_config()
    worker = make(config, ONE_PHASE)
    steps = steps_per_rollout(config, worker.game.spec)
    for _ in range(2):
        listener, _ = play(worker, steps)
        listener.leave()
        worker.cut()
        recorded = {tuple(row) for step in listener.steps for row in step["observations"].tolist()}
        arrays = [worker.arrays(agent) for agent in range(5)]
        assert sum(len(a["rewards"]) for a in arrays) == steps * 7 * 3
        assert {tuple(row) for a in arrays for row in a["observations"].tolist()} == recorded
        for a in arrays:
            assert int(a["lengths"].sum()) == len(a["rewards"])
            assert len(a["bootstrap_observations"]) == (~a["terminated"]).sum()
        assert sum(float(a["rewards"].sum(dtype=np.float64)) for a in arrays) == pytest.approx(
            sum(float(step["rewards"].sum(dtype=np.float64)) for step in listener.steps), rel=1e-6
        )
        worker.clear()


def test_a_cut_fragment_bootstraps_from_what_its_seat_sees_next():
    config = run_config(population_size=3, num_games=1, max_nights=1000)
    scenario = brigade.load_scenario(ONE_PHASE, min_nights=500)  # no game ends
    worker = make(config, scenario)
    play(worker, 4)[0].leave()
    worker.cut()
    bootstraps = {agent: worker.arrays(agent)["bootstrap_observations"] for agent in range(3)}
    worker.clear()
    listener, _ = play(worker, 1)
    for lane, agent in enumerate(listener.seats[0][0]):
        assert np.array_equal(bootstraps[agent], listener.steps[0]["observations"][lane : lane + 1])


# ---- state -------------------------------------------------------------------------------


def history(worker: RolloutWorker, rollouts: int) -> list[dict[str, np.ndarray]]:
    """Everything that learners would get."""
    found = []
    for _ in range(rollouts):
        for _ in range(9):
            worker.step()
        worker.cut()
        found += [worker.arrays(agent) for agent in range(5)]
        worker.clear()
    return found


def assert_same_history(one, other) -> None:
    for a, b in zip(one, other, strict=True):
        assert set(a) == set(b)
        for name, array in a.items():
            assert np.array_equal(array, b[name]), name


@pytest.mark.parametrize("exploring_starts", [0.0, 0.5])
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_a_restored_worker_goes_on_exactly(scenario, exploring_starts):
    first = make(run_config(exploring_starts=exploring_starts), scenario)
    history(first, 2)
    state = first.state()
    expected = history(first, 3)
    second = make(run_config(exploring_starts=exploring_starts), scenario, seed=1)
    history(second, 1)
    second.restore(state)
    assert_same_history(history(second, 3), expected)
    assert np.array_equal(second.seats, first.seats)
    assert np.array_equal(second.matchmaker.games, first.matchmaker.games)


def test_a_state_is_not_changed_by_playing_on():
    worker = make(run_config(), ONE_PHASE)
    history(worker, 1)
    state = worker.state()
    kept = {name: value if isinstance(value, str | bytes) else value.copy()
            for name, value in state.items()}  # fmt: skip
    history(worker, 2)
    for name, value in state.items():
        assert np.array_equal(value, kept[name]), name


def test_a_run_follows_from_its_seed():
    one, two, other = (history(make(run_config(), ONE_PHASE, seed), 2) for seed in (5, 5, 6))
    assert_same_history(one, two)
    assert not np.array_equal(one[0]["observations"], other[0]["observations"])


@pytest.mark.parametrize(
    "changes",
    [
        {"population_size": 6},
        {"num_games": 8},
        {"num_agents_per_game": 2},
        {"scenario": "other"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_state_of_another_run_is_refused(changes):
    scenario = ONE_PHASE
    if changes.pop("scenario", None):
        scenario = brigade.load_scenario(ONE_PHASE, prob_house_catches_fire=0.5)
    state = make(run_config(**changes), scenario).state()
    with pytest.raises(ValueError, match=r"\S"):
        make(run_config(), ONE_PHASE).restore(state)


def test_a_state_of_a_smaller_run_is_not_stretched():
    small = {"population_size": 1, "num_games": 1, "num_agents_per_game": 1}
    state = make(run_config(**small), ONE_PHASE).state()
    larger = make(run_config(**(small | {"population_size": 4})), ONE_PHASE)
    with pytest.raises(ValueError, match=r"\S"):
        larger.restore(state)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seats", np.full((7, 3), 99)),
        ("seats", np.full((7, 3), -1)),
        ("games", b""),
        ("games", b"\xff" * 2000),
        ("games_played", np.zeros(4, np.int64)),
        ("matchmaking", "{}"),
        ("matchmaking", "not json"),
        ("matchmaking", '{"bit_generator": "PCG64", "state": {}}'),
        ("actions", '{"bit_generator": "MT19937"}'),
        ("actions", None),
        ("starts", "{}"),
        ("placed", np.zeros(6, np.bool_)),
        ("placed", np.zeros(7)),
    ],
)
def test_a_spoilt_state_is_refused(name, value):
    state = make(run_config(), ONE_PHASE).state()
    with pytest.raises(ValueError, match=r"\S"):
        make(run_config(), ONE_PHASE).restore(state | {name: value})


@pytest.mark.parametrize(
    "name", ["games", "seats", "games_played", "matchmaking", "actions", "starts", "placed"]
)
def test_a_state_with_something_missing_is_refused(name):
    state = make(run_config(), ONE_PHASE).state()
    del state[name]
    with pytest.raises(ValueError, match=name):
        make(run_config(), ONE_PHASE).restore(state)
