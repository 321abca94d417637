"""A run that is stopped or killed anywhere ends, once resumed, as if it had never been.

The simulator is real, and so are its files; the learner is a function of what it is sent, and the
test decides when each of its updates arrives and when the signal comes.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brigade.config import RunConfig
from brigade.env.scenarios import load_scenario
from brigade.games.bucket_brigade import describe
from brigade.ppo.agents import AgentState, initial_state
from brigade.sim import simulator as simulator_module
from brigade.sim.events import Events
from brigade.sim.preparation import games_of, population_of
from brigade.sim.simulator import Simulator
from brigade.store import checkpoint as store
from brigade.store.checkpoint import Checkpoint
from brigade.wire import messages
from brigade.wire.endpoints import Endpoint
from brigade.wire.transport import Sender

GAME = describe(load_scenario("v2_minimal"), 2)
SEED = 7
TRANSITIONS = 300
ORDERS = st.lists(st.integers(0, 11), min_size=1, max_size=40)
# When updates arrive; when the signal comes, and how many still arrive then; what it goes on from.
STOPS = st.tuples(ORDERS, st.integers(1, 60), st.integers(0, 6), st.integers(0, 20))


def config(sync: str, on_learner_loss: str = "wait") -> RunConfig:
    return RunConfig(
        scenario="v2_minimal", population_size=3, num_agents_per_game=2, num_games=3, hidden_size=4,
        batch_size=8, num_epochs=2, update_interval=4, num_episodes=10**9,
        num_transitions=TRANSITIONS, sync=sync, max_lag=3, seed=SEED, run_name="some",
        checkpoint_interval=2, max_nights=8, on_learner_loss=on_learner_loss,
    )  # fmt: skip


def simulator_of(config: RunConfig, sockets: Sockets, events: Events) -> Simulator:
    games, agents = games_of(config, GAME), population_of(config, GAME)
    return Simulator(config, games, agents, sockets, events)  # type: ignore[arg-type]


@dataclass
class Sockets:
    """Stands for the simulator's sockets, and for a learner of all agents behind them."""

    states: dict[int, AgentState] = field(default_factory=dict)
    updates: dict[int, deque[Any]] = field(default_factory=dict)  # each agent's, in their order
    fencing_token: str = ""
    run: str = ""
    endpoint: Endpoint = field(default_factory=lambda: Endpoint.parse("ipc:///tmp/x"))
    control: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    weights: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)

    async def receive_control(self) -> Any:
        return await self.control.get()

    async def receive_weights(self) -> Any:
        return await self.weights.get()

    async def send_control(self, peer: bytes, frames: Any) -> None:
        header, arrays = messages.decode([bytes(frame) for frame in frames])
        if isinstance(header, messages.Welcome):
            self.run, self.fencing_token = header.run, header.fencing_token
            network = population_of(config("lockstep"), GAME).network
            for granted in header.agents:
                state = initial_state(network, SEED, granted.agent)
                if granted.state:
                    rows = {n: arrays[f"{granted.agent}/{n}"] for n in state.arrays()}
                    state = AgentState(granted.version, granted.steps, **rows)
                self.publish(granted.agent, state)
        elif isinstance(header, messages.Stop):
            self.leave()

    def leave(self) -> None:
        goodbye = messages.encode(messages.Goodbye(run=self.run))
        self.control.put_nowait((Sender(b"learner"), [bytes(frame) for frame in goodbye]))

    def send_experience(self, slot: int, frames: Any) -> None:
        """Learn at once; when the simulator hears of it is another matter."""
        header, arrays = messages.decode([bytes(frame) for frame in frames])
        before = self.states[header.agent]
        assert header.sequence == before.version, "each rollout is learned once, in order"
        lived = zlib.crc32(b"".join(array.tobytes() for array in arrays.values()))
        move = np.random.default_rng(lived).normal(0, 0.3, before.parameters.shape)
        row = (0.9 * before.parameters + move).astype(np.float32)
        statistics = before.statistics * 0.9 + [0.1, lived % 7, lived % 7 * 50.0]
        state = AgentState(before.version + 1, before.steps + 1, row, row, row, statistics)
        self.publish(header.agent, state)

    def publish(self, agent: int, state: AgentState) -> None:
        self.states[agent] = state
        header = messages.Weights(
            run=self.run,
            agent=agent,
            version=state.version,
            steps=state.steps,
            fencing_token=self.fencing_token,
        )
        frames = [bytes(frame) for frame in messages.encode(header, state.arrays())]
        self.updates.setdefault(agent, deque()).append(frames)

    def deliver(self, choice: int) -> bool:
        """Let one agent's oldest update arrive; False where there is none on its way."""
        waiting = [agent for agent, updates in sorted(self.updates.items()) if updates]
        if waiting:
            frames = self.updates[waiting[choice % len(waiting)]].popleft()
            self.weights.put_nowait((Sender(), frames))
        return bool(waiting)

    def open_slot(self, slot: int, key: str = "") -> None: ...

    def close_slot(self, slot: int) -> None: ...

    def revoked(self) -> set[str]:
        return set()


@dataclass
class Ending:
    """What a run left behind."""

    final: Checkpoint | None  # where anything was learned
    numbered: list[Checkpoint]
    moments: int  # at which it could have been stopped


def play(
    sync: str,
    folder: Path,
    choices: Iterator[int],
    going_on: Checkpoint | None = None,
    stop_at: int | None = None,
    heard_after: int = 0,
    *,
    freeze: bool = False,
    gone_at: int | None = None,
) -> Ending:
    """Play a run, from its beginning or from a checkpoint.

    Parameters
    ----------
    choices
        At each moment: how many updates arrive, and whose.
    stop_at
        The moment at which it is stopped, counting steps of play and waits.
    heard_after
        Updates that still arrive after that.
    freeze
        Whether agents that lose their learner play on as they are.
    gone_at
        The moment from which on, once there was a first step, the learner leaves for good.
    """
    saved: list[tuple[bool, Checkpoint]] = []

    def save(content: Checkpoint, final: bool) -> None:
        path = folder / f"{len(saved)}.pt"
        store.save(path, content, simulator.check)
        saved.append((final, store.load(path)))

    async def story() -> int:
        nonlocal simulator
        sockets = Sockets()
        settings = config(sync, "freeze" if freeze else "wait")
        simulator = simulator_of(settings, sockets, Events(checkpoint=save))
        if going_on is not None:
            simulator.restore(going_on)
        hello = messages.encode(messages.Hello(name="l", agents="auto", device="cpu"))
        sockets.control.put_nowait((Sender(b"learner"), [bytes(frame) for frame in hello]))
        moment, left = 0, heard_after
        left_us: list[int] = []

        def tick(*, waits: bool) -> None:
            nonlocal moment, left
            arrived = False
            for _ in range(max(next(choices) % 4, 1 if waits else 0)):
                if simulator._stopping:
                    left -= 1
                    if left < 0:
                        return
                arrived |= sockets.deliver(next(choices))
            if (arrived or not waits) and not simulator._stopping:
                moment += 1
                if gone_at is not None and gone_at <= moment and played and not left_us:
                    left_us.append(moment)
                    sockets.leave()
                if moment == stop_at:
                    simulator.stop("stopped by a test")

        async def pass_time() -> None:
            while True:
                # So often that all that can happen without us has happened.
                for _ in range(20):
                    await asyncio.sleep(0)
                tick(waits=True)

        step = simulator.worker.step

        played: list[bool] = []

        def stepping() -> Any:
            tick(waits=False)
            played.append(True)
            return step()

        simulator.worker.step = stepping
        passing = asyncio.create_task(pass_time())
        await simulator.run()
        passing.cancel()
        return moment

    simulator: Any = None
    moments = asyncio.run(story())
    finals = [content for final, content in saved if final]
    assert len(finals) <= 1
    numbered = [content for final, content in saved if not final]
    return Ending(finals[0] if finals else None, numbered, moments)


def is_complete(content: Checkpoint | None) -> bool:
    return content is not None and content.statistics["total_transitions"] >= TRANSITIONS


def assert_same(one: Checkpoint | None, other: Checkpoint | None) -> None:
    assert one is not None
    assert other is not None
    assert one.statistics == other.statistics
    for mine, theirs in zip(one.agents, other.agents, strict=True):
        assert (mine.version, mine.steps) == (theirs.version, theirs.steps)
        for name, array in mine.arrays().items():
            assert np.array_equal(array, theirs.arrays()[name]), name
    assert set(one.simulator) == set(other.simulator)
    for name, value in one.simulator.items():
        assert np.array_equal(value, other.simulator[name]), name


@pytest.fixture(scope="module", autouse=True)
def impatient() -> Iterator[None]:
    """What does not arrive at once after the signal does not arrive at all."""
    threads, last_words = torch.get_num_threads(), simulator_module.LAST_WORDS_SECONDS
    torch.set_num_threads(1)
    simulator_module.LAST_WORDS_SECONDS = 0.01
    yield
    torch.set_num_threads(threads)
    simulator_module.LAST_WORDS_SECONDS = last_words


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ending]:
    folder = tmp_path_factory.mktemp("whole")
    return {
        sync: play(sync, folder, itertools.cycle([1, 0]))
        for sync in ("lockstep", "overlap", "async")
    }


@pytest.mark.parametrize("sync", ["lockstep", "overlap"])
@given(order=ORDERS)
@settings(max_examples=10, deadline=None)
def test_when_updates_arrive_changes_nothing(uninterrupted, sync, order):
    with tempfile.TemporaryDirectory() as folder:
        ending = play(sync, Path(folder), itertools.cycle(order))
    assert_same(ending.final, uninterrupted[sync].final)


@pytest.mark.parametrize("sync", ["lockstep", "overlap"])
@given(stops=st.lists(STOPS, min_size=1, max_size=3))
@settings(max_examples=30, deadline=None)
def test_stopped_at_any_moment_it_ends_as_if_it_had_not_been(uninterrupted, sync, stops):
    going_on = None
    with tempfile.TemporaryDirectory() as folder:
        for order, stop_at, heard_after, which in stops:
            if is_complete(going_on):
                break
            arrivals = itertools.cycle(order)
            ending = play(sync, Path(folder), arrivals, going_on, stop_at, heard_after)
            # Either it ended in order, or it was killed some time after a checkpoint.
            left = [ending.final, *ending.numbered]
            going_on = left[which % len(left)]
        if not is_complete(going_on):
            rest = itertools.cycle([2, 1, 0])
            going_on = play(sync, Path(folder), rest, going_on).final
    assert_same(going_on, uninterrupted[sync].final)


def test_learners_that_leave_as_the_run_ends_are_not_lost(uninterrupted):
    """Otherwise their agents would be saved as they were, without what they had yet to learn."""
    for stop_at in range(1, uninterrupted["overlap"].moments, 2):
        with tempfile.TemporaryDirectory() as folder:
            arrivals = itertools.cycle([1, 0])
            left = play("overlap", Path(folder), arrivals, None, stop_at, freeze=True).final
            if not is_complete(left):
                rest = itertools.cycle([2, 1, 0])
                left = play("overlap", Path(folder), rest, left, freeze=True).final
        assert_same(left, uninterrupted["overlap"].final)


@pytest.mark.parametrize("sync", ["lockstep", "overlap", "async"])
@given(order=ORDERS, gone_at=st.integers(1, 40), which=st.integers(0, 20))
@settings(max_examples=10, deadline=None)
def test_agents_that_lose_their_learner_play_on_from_whole_checkpoints(sync, order, gone_at, which):
    with tempfile.TemporaryDirectory() as folder:
        ending = play(sync, Path(folder), itertools.cycle(order), gone_at=gone_at, freeze=True)
        assert is_complete(ending.final)
        left = [*ending.numbered, ending.final][which % (len(ending.numbered) + 1)]
        if not is_complete(left):
            again = play(sync, Path(folder), itertools.cycle([1, 2]), left, freeze=True)
            assert is_complete(again.final)


@given(
    stop_at=st.integers(1, 60),
    heard_after=st.integers(0, 6),
    order=ORDERS,
)
@settings(max_examples=10, deadline=None)
def test_without_waiting_it_goes_on_to_the_end(uninterrupted, stop_at, heard_after, order):
    with tempfile.TemporaryDirectory() as folder:
        ending = play("async", Path(folder), itertools.cycle(order), None, stop_at, heard_after)
        for left in (*ending.numbered, ending.final):
            if not is_complete(left):
                assert is_complete(play("async", Path(folder), itertools.cycle(order), left).final)


@pytest.mark.parametrize("sync", ["lockstep", "overlap", "async"])
def test_a_checkpoint_that_lacks_a_policy_is_not_gone_on_with(uninterrupted, sync):
    spoilt = uninterrupted[sync].numbered[-1]
    state = {name: value for name, value in spoilt.simulator.items() if "acting" not in name}
    simulator = simulator_of(config(sync), Sockets(), Events())
    simulator.restore(spoilt)  # as it is, it will do
    lacking = Checkpoint(
        spoilt.run, spoilt.config, spoilt.game, spoilt.population, spoilt.agents,
        spoilt.statistics, state,
    )  # fmt: skip
    fresh = simulator_of(config(sync), Sockets(), Events())
    if sync == "overlap":
        with pytest.raises(ValueError, match=r"version \d+ of agent 0 is missing"):
            fresh.restore(lacking)
    else:
        fresh.restore(lacking)
