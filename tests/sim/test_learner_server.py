"""The learner server: what it grants, keeps, sends on and refuses, with the test's own sockets."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import torch

from brigade.config import RunConfig
from brigade.learn import learner as learner_module
from brigade.learn.learner import Learner
from brigade.policy.build import read
from brigade.policy.network import Network
from brigade.policy.population import Population
from brigade.ppo.agents import AgentState, initial_state
from brigade.sim import learner_server
from brigade.sim.events import Events
from brigade.sim.learner_server import LearnerServer, read_weights
from brigade.sim.repository import Repository
from brigade.sim.rollout import RolloutBuffer
from brigade.wire import messages
from brigade.wire.endpoints import Endpoint
from brigade.wire.messages import Header
from brigade.wire.transport import LearnerSockets, Sender, SimulatorSockets, TransportError

NETWORK = Network(num_features=5, action_nvec=(3, 2, 2), hidden_size=8)
AGENTS = Population.of(NETWORK, 4)
CONFIG = RunConfig(
    population_size=4,
    num_agents_per_game=2,
    hidden_size=8,
    batch_size=8,
    num_epochs=2,
    update_interval=4,
    seed=11,
)

REPORT = messages.Report(
    run="a-run", run_name="name", share=0.5, episodes=1, transitions=2, seconds=3.0,
    transitions_per_second=4.0, lag=0, free=[], bad_messages=0, learners=[], remarks=["slow"],
)  # fmt: skip


def config(**changes: Any) -> RunConfig:
    return RunConfig(**{n: getattr(CONFIG, n) for n in CONFIG.__struct_fields__} | changes)


def as_bytes(frames):
    return [bytes(frame) for frame in frames]


def experience(agent: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([agent, seed])
    buffer = RolloutBuffer(16, 1, NETWORK.num_features, NETWORK.action_nvec)
    for _ in range(16):
        numbers = ("values", "rewards", "default_rewards")
        columns = {name: rng.random(1, dtype=np.float32) for name in numbers}
        columns |= {name: rng.random(1) < 0.5 for name in ("changed", "default_terminated")}
        columns |= {
            "observations": rng.random((1, 5), dtype=np.float32),
            "actions": rng.integers(0, NETWORK.action_nvec, (1, 3)),
            "component_mask": rng.random((1, 3)) < 0.8,
            "log_probs": np.full(1, -np.log(12), np.float32),
            "discounts": np.full(1, 0.99, np.float32),
            "default_observations": rng.random((1, 5), dtype=np.float32),
        }
        buffer.record(**columns)
    buffer.cut(np.array([agent]), rng.random((1, 5), dtype=np.float32))
    return buffer.arrays(agent, 0)


@dataclass
class Sockets:
    """Stands for ``SimulatorSockets``."""

    endpoint: Endpoint = field(default_factory=lambda: Endpoint.parse("ipc:///tmp/x"))
    control: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    weights: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    sent: list[tuple[bytes, Header, dict[str, np.ndarray]]] = field(default_factory=list)
    slots: dict[int, list[messages.Experience]] = field(default_factory=dict)
    closed: list[int] = field(default_factory=list)
    keys: dict[int, str] = field(default_factory=dict)  # by slot
    turned_out: set[str] = field(default_factory=set)

    async def receive_control(self) -> Any:
        return await self.control.get()

    async def receive_weights(self) -> Any:
        return await self.weights.get()

    def revoked(self) -> set[str]:
        return self.turned_out

    async def send_control(self, peer: bytes, frames: Any) -> None:
        self.sent.append((peer, *messages.decode(as_bytes(frames))))

    def open_slot(self, slot: int, key: str = "") -> None:
        assert slot not in self.slots
        self.keys[slot] = key
        self.slots[slot] = []

    def close_slot(self, slot: int) -> None:
        del self.slots[slot]
        self.closed.append(slot)

    def send_experience(self, slot: int, frames: Any) -> None:
        header, _ = messages.decode(as_bytes(frames))
        assert isinstance(header, messages.Experience)
        self.slots[slot].append(header)


class Harness:
    """A server at work."""

    def __init__(
        self,
        settings: RunConfig = CONFIG,
        endpoint: Endpoint | None = None,
        population: Population = AGENTS,
    ) -> None:
        self.sockets = Sockets(**({"endpoint": endpoint} if endpoint else {}))
        self.repository = Repository(population)
        self.learned: list[tuple[int, int, dict[str, float]]] = []
        self.failures: list[str] = []
        self.joined: list[str] = []
        self.left: list[str] = []
        events = Events(
            joined=lambda lease: self.joined.append(lease.name),
            left=lambda lease, why: self.left.append(f"{lease.name}: {why}"),
        )
        self.server = LearnerServer(
            "a-run",
            settings,
            self.repository,
            self.sockets,  # type: ignore[arg-type]
            events,
            10.0,
            learned=lambda a, s, w: self.learned.append((a, s.version, dict(w.metrics))),
            changed=lambda: None,
            failed=self.failures.append,
            report=lambda: REPORT,
        )
        self.run = self.server.run

    async def hear(self, peer: bytes, header: Header | list[bytes], key: str = "") -> list[Header]:
        """Let a learner say something; what it is answered."""
        frames = header if isinstance(header, list) else as_bytes(messages.encode(header))
        before = len(self.sockets.sent)
        self.sockets.control.put_nowait((Sender(peer, key), frames))
        await settle()
        return [said for who, said, _ in self.sockets.sent[before:] if who == peer]

    async def hello(
        self, peer: bytes, agents: str, run: str = "", key: str = "", *, stand_by: bool = False
    ) -> Header:
        said = messages.Hello(
            name=peer.decode(), agents=agents, device="cpu", run=run, stand_by=stand_by
        )
        [answer] = await self.hear(peer, said, key)
        return answer

    def token_of(self, agent: int) -> str:
        lease = self.server.lease_table.lease_of(agent)
        return lease.fencing_token if lease else ""

    async def publish(
        self, agent: int, version: int, run: str | None = None, **changes: Any
    ) -> None:
        key = changes.pop("key", "")
        state = initial_state(NETWORK, 1, agent)
        arrays = state.arrays() | changes.pop("arrays", {})
        header = messages.Weights(
            run=run or self.run,
            agent=agent,
            version=version,
            steps=version,
            fencing_token=changes.pop("fencing_token", self.token_of(agent)),
            **changes,
        )
        frames = as_bytes(messages.encode(header, arrays))
        self.sockets.weights.put_nowait((Sender(key=key), frames))
        await settle()


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def at_work(
    story: Callable[[Harness], Awaitable[None]],
    settings: RunConfig = CONFIG,
    endpoint: Endpoint | None = None,
    population: Population = AGENTS,
) -> Harness:
    """Run a story at a server that serves its sockets."""

    async def main() -> Harness:
        harness = Harness(settings, endpoint, population)
        tasks = [
            asyncio.create_task(harness.server.serve_control()),
            asyncio.create_task(harness.server.serve_weights()),
        ]
        await story(harness)
        assert not any(task.done() for task in tasks), "nothing ends a server"
        for task in tasks:
            task.cancel()
        return harness

    return asyncio.run(main())


# ---- joining -----------------------------------------------------------------------------


def test_a_learner_is_told_all_that_it_needs():
    async def story(harness):
        welcome = await harness.hello(b"one", "0-1")
        assert isinstance(welcome, messages.Welcome)
        assert welcome.run == harness.run
        assert list(map(read, welcome.policies)) == [NETWORK]
        assert welcome.config["seed"] == 11
        assert [tuple(getattr(g, n) for n in ("agent", "version", "state"))
                for g in welcome.agents] == [(0, 0, False), (1, 0, False)]  # fmt: skip
        endpoint = harness.sockets.endpoint
        assert welcome.experience == endpoint.experience_suffix(welcome.slot)
        assert welcome.weights == endpoint.weights_suffix
        assert list(harness.sockets.slots) == [welcome.slot]
        assert harness.joined == ["one"]

    at_work(story)


def test_agents_with_a_past_come_with_their_whole_state():
    async def story(harness):
        await harness.hello(b"one", "0-1")
        await harness.publish(1, 0)
        await harness.hear(b"one", messages.Goodbye(run=harness.run))
        welcome = await harness.hello(b"two", "0-1")
        assert [granted.state for granted in welcome.agents] == [False, True]
        _, _, arrays = harness.sockets.sent[-1]
        state = initial_state(NETWORK, 1, 1)
        assert set(arrays) == {f"1/{name}" for name in state.arrays()}
        for name, array in state.arrays().items():
            assert np.array_equal(arrays[f"1/{name}"], array)

    at_work(story)


def test_who_asks_is_told_how_the_run_is_doing():
    async def story(harness):
        assert await harness.hear(b"anyone", messages.Ask()) == [REPORT]

    at_work(story)


def test_a_learner_that_waits_for_agents_is_told_when_the_run_is_over():
    async def story(harness):
        await harness.hello(b"one", "0-1")
        await harness.hello(b"two", "0-1", stand_by=True)
        await harness.server.dismiss("done", failed=False)
        stopped = [who for who, said, _ in harness.sockets.sent if isinstance(said, messages.Stop)]
        assert stopped == [b"one", b"two"]

    at_work(story)


@pytest.mark.parametrize(
    ("agents", "run", "says"),
    [
        ("1-2", "", "agent 1 already taken by one"),
        ("9", "", "agents 0-3"),
        ("2", "another-run", "not another-run"),
        ("x", "", "is not like"),
    ],
)
def test_who_cannot_be_helped_is_told_why(agents, run, says):
    async def story(harness):
        await harness.hello(b"one", "0-1")
        refusal = await harness.hello(b"two", agents, run)
        assert isinstance(refusal, messages.Refusal)
        assert refusal.final
        assert says in refusal.reason
        assert ("--stand-by waits for them" in refusal.reason) == ("taken" in says)
        assert len(harness.sockets.slots) == 1

    at_work(story)


def test_where_no_slot_can_be_opened_there_is_no_lease_but_there_may_be_later():
    async def story(harness):
        usual, tried = harness.sockets.open_slot, []

        def busy(slot, key):
            tried.append(slot)
            raise TransportError("tcp://127.0.0.1:1 is in use")

        harness.sockets.open_slot = busy
        refusal = await harness.hello(b"one", "0")
        assert "tcp://127.0.0.1:1 is in use" in refusal.reason
        assert not refusal.final
        assert len(set(tried)) == len(tried) > 1
        assert harness.server.lease_table.free == [0, 1, 2, 3]
        harness.sockets.open_slot = usual
        assert isinstance(await harness.hello(b"one", "0"), messages.Welcome)

    at_work(story)


def test_a_port_that_somebody_else_has_is_passed_over():
    async def story(harness):
        usual = harness.sockets.open_slot

        def partly_busy(slot, key):
            if slot < 3:
                raise TransportError("in use")
            usual(slot, key)

        harness.sockets.open_slot = partly_busy
        welcome = await harness.hello(b"one", "0-1")
        assert welcome.slot == 3
        assert welcome.experience == "-experience-3"
        harness.server.send(0, experience(0), 0.0)
        [sent] = harness.sockets.slots[3]
        assert sent.generation == welcome.generation

    at_work(story)


def test_a_thousand_learners_that_come_and_go_use_up_nothing():
    async def story(harness):
        for number in range(1000):
            peer = b"%d" % number
            assert isinstance(await harness.hello(peer, "auto"), messages.Welcome)
            await harness.hear(peer, messages.Goodbye(run=harness.run))
        assert harness.sockets.slots == {}

    few = Endpoint.parse("tcp://127.0.0.1:65500")
    assert few.num_slots < 40
    at_work(story, endpoint=few)


def test_a_version_that_comes_before_one_that_was_lost_waits_for_it():
    async def story(harness):
        await harness.hello(b"one", "0")
        await harness.publish(0, 0)
        for sequence in range(2):
            harness.server.send(0, experience(0, sequence), 0.5)
        await harness.publish(0, 2)
        assert harness.repository.newest == {0: 0}
        assert harness.server.bad_messages.total() == 0, "it is nobody's fault"
        await harness.publish(0, 1)
        await harness.publish(0, 2)
        assert [version for _, version, _ in harness.learned] == [0, 1, 2]

    at_work(story)


def test_a_hello_said_again_before_the_answer_is_there_changes_nothing():
    # A learner that waited for us for days has said many, and all of them arrive at once.
    async def story(harness):
        welcome = await harness.hello(b"one", "0-1")
        hello = messages.Hello(name="one", agents="0-1", device="cpu")
        for _ in range(10):
            assert await harness.hear(b"one", hello) == []
        assert list(harness.sockets.slots) == [welcome.slot]
        assert (harness.joined, harness.left) == (["one"], [])

    at_work(story)


def test_a_learner_that_joins_anew_gets_a_new_slot():
    async def story(harness):
        first = await harness.hello(b"one", "0-1")
        await harness.hear(b"one", messages.Heartbeat(run=harness.run))
        second = await harness.hello(b"one", "0-1")
        assert len(harness.server.lease_table.leases) == 1
        assert list(harness.sockets.slots) == [second.slot] != [first.slot]
        assert harness.left == []

    at_work(story)


# ---- experience and weights --------------------------------------------------------------


def test_experience_goes_to_the_agents_learner_and_to_nobody_else():
    async def story(harness):
        one = await harness.hello(b"one", "0-1")
        two = await harness.hello(b"two", "2-3")
        for rollout in range(2):
            for agent in range(4):
                harness.server.send(agent, experience(agent), 0.5)
            assert harness.server.rollouts == dict.fromkeys(range(4), rollout + 1)
        for welcome, agents in ((one, (0, 1)), (two, (2, 3))):
            got = [(e.agent, e.sequence) for e in harness.sockets.slots[welcome.slot]]
            assert got == [(agent, rollout) for rollout in range(2) for agent in agents]

    at_work(story)


def test_who_takes_over_gets_what_was_not_learned_from():
    async def story(harness):
        await harness.hello(b"one", "0")
        await harness.publish(0, 0)
        for seed in range(3):
            harness.server.send(0, experience(0, seed), 0.5)
        await harness.publish(0, 1)  # so rollout 0 has been learned from
        await harness.hear(b"one", messages.Goodbye(run=harness.run))
        harness.server.send(0, experience(0, 3), 0.5)  # while nobody learns
        welcome = await harness.hello(b"two", "0")
        assert welcome.agents[0].version == 1
        got = [(e.agent, e.sequence) for e in harness.sockets.slots[welcome.slot]]
        assert got == [(0, 1), (0, 2), (0, 3)]

    at_work(story)


def test_agents_that_were_left_at_different_versions_go_on_together():
    """The learner before was killed when one of its two new versions had arrived."""

    async def story(harness: Harness) -> None:
        await harness.hello(b"one", "0,1")
        for agent in (0, 1):
            await harness.publish(agent, 0)
        harness.repository.act_with({0: 0, 1: 0})
        for agent in (0, 1):
            harness.server.send(agent, experience(agent), 0.1)
        await harness.publish(0, 1)
        assert [sum(x.outstanding) for x in harness.server.learners()] == [1]
        welcome = await harness.hello(b"one", "0,1")
        assert [(g.agent, g.version) for g in welcome.agents] == [(0, 0), (1, 0)]
        sent = [(header.agent, header.sequence) for header in harness.sockets.slots[1]]
        assert sent == [(0, 0), (1, 0)]
        for agent in (0, 1):
            await harness.publish(agent, 0)
            await harness.publish(agent, 1)
        assert harness.server.bad_messages.total() == 0
        assert [x[:2] for x in harness.learned] == [(0, 0), (1, 0), (0, 1), (1, 1)]

    at_work(story)


def test_a_new_version_is_kept_told_and_acknowledged():
    async def story(harness):
        await harness.hello(b"one", "0")
        await harness.publish(0, 0)
        harness.server.send(0, experience(0), 0.5)
        await harness.publish(0, 1, metrics={"kl": 0.5})
        assert harness.repository.newest == {0: 1}
        assert harness.learned == [(0, 0, {}), (0, 1, {"kl": 0.5})]
        said = [header for _, header, _ in harness.sockets.sent[1:]]
        assert [(header.agent, header.version) for header in said] == [(0, 0), (0, 1)]
        # It may have been lost on its way back.
        await harness.publish(0, 1)
        assert len(harness.learned) == 2
        assert harness.sockets.sent[-1][1] == messages.Acknowledge(
            run=harness.run, agent=0, version=1
        )

    at_work(story)


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 3},
        {"version": 2},  # of a rollout that was not sent
        {"agent": 4},
        {"run": "another"},
        {"arrays": {"parameters": np.full(NETWORK.num_parameters, 1e6, np.float32)}},
        {"arrays": {"parameters": np.zeros(3, np.float32)}},
        {"arrays": {"more": np.zeros(3, np.float32)}},
        {"arrays": {"statistics": np.zeros(3, np.float32)}},
        {"arrays": {"first_moment": np.full(NETWORK.num_parameters, np.nan, np.float32)}},
    ],
    ids=str,
)
def test_weights_that_do_not_fit_are_counted_and_dropped(wrong):
    async def story(harness):
        await harness.hello(b"one", "0")
        await harness.publish(0, 0)
        harness.server.send(0, experience(0), 0.5)
        await harness.publish(**({"agent": 0, "version": 1} | wrong))
        assert harness.repository.newest == {0: 0}
        assert harness.server.bad_messages.total() == 1
        await harness.publish(0, 1)
        assert harness.repository.newest == {0: 1}

    at_work(story)


OTHER = Network(num_features=7, action_nvec=(4,), hidden_size=8)


@pytest.mark.parametrize("agent", range(3))
def test_an_agents_weights_have_the_length_of_its_roles(agent):
    population = Population((NETWORK, OTHER), (2, 1))
    assert NETWORK.num_parameters != OTHER.num_parameters
    for network in (NETWORK, OTHER):
        header = messages.Weights(run="a-run", agent=agent, version=0, steps=0)
        arrays = initial_state(network, 1, agent).arrays()
        if network is population.network_of(agent):
            assert read_weights(header, arrays, "a-run", population)[1].version == 0
        else:
            with pytest.raises(messages.BadMessage, match="parameters"):
                read_weights(header, arrays, "a-run", population)


@pytest.mark.parametrize("agent", [3, 4, 2**40])
def test_weights_of_an_agent_that_there_is_not_are_refused(agent):
    header = messages.Weights(run="a-run", agent=agent, version=0, steps=0)
    arrays = initial_state(OTHER, 1, 0).arrays()
    with pytest.raises(messages.BadMessage, match=f"agent {agent}, which does not exist"):
        read_weights(header, arrays, "a-run", Population((NETWORK, OTHER), (2, 1)))


def test_a_learner_is_told_which_policy_each_agent_has():
    async def story(harness):
        welcome = await harness.hello(b"one", "1-3")
        assert list(map(read, welcome.policies)) == [NETWORK, OTHER]
        assert [(g.agent, g.policy) for g in welcome.agents] == [(1, 0), (2, 0), (3, 1)]

    at_work(story, population=Population((NETWORK, OTHER), (3, 1)))


def test_weights_that_come_after_their_learner_left_are_no_news_and_no_attack():
    async def story(harness):
        await harness.hello(b"one", "0")
        await harness.publish(0, 0)
        harness.server.send(0, experience(0), 0.5)
        late = harness.token_of(0)
        await harness.hear(b"one", messages.Goodbye(run=harness.run))
        await harness.hello(b"two", "0")
        said = len(harness.sockets.sent)
        await harness.publish(0, 1, fencing_token=late)
        assert harness.repository.newest == {0: 0}
        assert harness.server.bad_messages.total() == 0
        assert len(harness.sockets.sent) == said, "the next learner's version is not acknowledged"
        await harness.publish(0, 1)
        assert harness.repository.newest == {0: 1}

    at_work(story)


# ---- staying and leaving -----------------------------------------------------------------


def test_who_says_goodbye_frees_its_agents_at_once():
    async def story(harness):
        welcome = await harness.hello(b"one", "0-2")
        await harness.hear(b"one", messages.Goodbye(run=harness.run, reason="tired"))
        assert harness.server.lease_table.free == [0, 1, 2, 3]
        assert harness.sockets.closed == [welcome.slot]
        assert harness.left == ["one: tired"]
        assert harness.failures == []

    at_work(story)


def test_whose_key_was_revoked_loses_its_agents_and_is_told(monkeypatch):
    monkeypatch.setattr(learner_server, "HEARTBEAT_SECONDS", 0.01)

    async def story(harness: Harness) -> None:
        await harness.hello(b"mine", "0,1", key="my key")
        await harness.hello(b"other", "2", key="another")
        await harness.hello(b"third", "2", key="my key")  # stands by
        assert harness.sockets.keys == {0: "my key", 1: "another"}
        clock = asyncio.create_task(harness.server.keep_time(list))
        harness.sockets.turned_out.add("my key")
        await asyncio.wait_for(until(lambda: harness.left), 5)
        clock.cancel()
        await harness.server.dismiss("over", failed=False)
        said = {peer: header for peer, header, _ in harness.sockets.sent}
        assert said[b"mine"] == messages.Refusal(reason="your key was revoked")
        assert said[b"third"].__class__ is messages.Refusal, "it is not told how the run ended"

    harness = at_work(story)
    assert harness.left == ["mine: its key was revoked"]
    assert harness.server.lease_table.free == [0, 1, 3]
    assert harness.sockets.closed == [0]


def test_nobody_speaks_for_one_with_another_key():
    async def story(harness: Harness) -> None:
        await harness.hello(b"mine", "0", key="my key")
        await harness.publish(0, 0, key="another")
        assert harness.learned == []
        assert await harness.hear(b"mine", messages.Goodbye(run=harness.run), key="another") == []
        assert harness.server.lease_table.free == [1, 2, 3]
        await harness.publish(0, 0, key="my key")
        assert harness.learned == [(0, 0, {})]
        assert harness.server.bad_messages.total() == 2

    at_work(story)


def test_whose_lease_has_run_out_is_told_to_ask_again():
    async def story(harness):
        await harness.hello(b"one", "0")
        assert await harness.hear(b"one", messages.Heartbeat(run=harness.run)) == []
        harness.server.lease_table.expire(float("inf"))
        [answer] = await harness.hear(b"one", messages.Heartbeat(run=harness.run))
        assert isinstance(answer, messages.Refusal)
        assert not answer.final

    at_work(story)


@pytest.mark.parametrize("what", ["wait", "freeze", "fail"])
def test_what_is_done_about_a_lost_learner_is_the_configs_choice(what):
    async def story(harness):
        assert harness.server.learning() == [0, 1, 2, 3]
        await harness.hello(b"one", "0-1")
        await harness.publish(0, 0)
        await harness.hear(b"one", messages.Goodbye(run=harness.run))
        # Frozen is who has a policy to play with; the others are still waited for.
        assert harness.server.learning() == ([1, 2, 3] if what == "freeze" else [0, 1, 2, 3])
        assert len(harness.failures) == (what == "fail")
        await harness.hello(b"two", "0-1")
        assert harness.server.learning() == [0, 1, 2, 3]

    at_work(story, config(on_learner_loss=what))


def test_noise_is_counted_and_dropped():
    async def story(harness):
        noise = [
            [b"noise"],
            [],
            as_bytes(messages.encode(messages.Heartbeat(run="another"))),
            as_bytes(messages.encode(messages.Acknowledge(run=harness.run, agent=0, version=0))),
            as_bytes(messages.encode(messages.Refusal(reason="no"))),
        ]
        for frames in noise:
            assert await harness.hear(b"stranger", frames) == []
        assert harness.server.bad_messages.total() == len(noise)
        assert isinstance(await harness.hello(b"one", "0"), messages.Welcome)

    at_work(story)


def test_when_the_run_is_over_learners_are_told_and_nobody_is_welcome():
    async def story(harness):
        await harness.hello(b"one", "0")
        dismissing = asyncio.create_task(harness.server.dismiss("that was it", failed=False))
        await settle()
        assert harness.sockets.sent[-1][1] == messages.Stop(run=harness.run, reason="that was it")
        assert isinstance(await harness.hello(b"two", "1"), messages.Refusal)
        await harness.hear(b"one", messages.Goodbye(run=harness.run))
        await asyncio.wait_for(dismissing, 0.5)  # it need not wait for anybody
        assert harness.failures == harness.left == []

    at_work(story)


# ---- together with a learner -------------------------------------------------------------


@pytest.mark.parametrize("hellos", [1, 3])
def test_a_learner_that_was_there_before_the_simulator_learns(monkeypatch, hellos):
    # It says hello again every few seconds, so that several may wait for a simulator that is slow.
    monkeypatch.setattr(learner_module, "HELLO_SECONDS", -1.0)
    folder = Path(tempfile.mkdtemp(prefix="b-"))
    endpoint = Endpoint.parse(f"ipc://{folder}/control")
    learner = Learner(LearnerSockets(endpoint), "early", "0-1", torch.device("cpu"))
    for _ in range(hellos):
        learner.step(0)
    monkeypatch.setattr(learner_module, "HELLO_SECONDS", 1000.0)

    async def main() -> None:
        sockets = SimulatorSockets(endpoint, 1 << 20)
        repository = Repository(AGENTS)
        server = LearnerServer(
            "a-run", CONFIG, repository, sockets, Events(), 10.0, learned=lambda *_: None,
            changed=lambda: None, failed=lambda why: None, report=lambda: REPORT,
        )  # fmt: skip
        tasks = [
            asyncio.create_task(server.serve_control()),
            asyncio.create_task(server.serve_weights()),
        ]

        async def until(condition: Callable[[], bool]) -> None:
            for _ in range(100):
                if condition():
                    return
                await asyncio.to_thread(learner.step, 0.05)
            raise AssertionError("the learner waits for ever")

        await until(lambda: repository.newest == {0: 0, 1: 0})
        for _ in range(3):  # whatever else was said has been answered
            await asyncio.to_thread(learner.step, 0.05)
        for agent in range(2):
            server.send(agent, experience(agent), 0.0)
        await until(lambda: repository.newest == {0: 1, 1: 1})
        for task in tasks:
            task.cancel()
        sockets.close()

    try:
        asyncio.run(main())
    finally:
        learner._sockets.close()
        shutil.rmtree(folder)


def test_a_state_that_arrived_is_the_one_that_was_published():
    state = AgentState(0, 0, *(np.full(NETWORK.num_parameters, x, np.float32) for x in range(3)),
                       np.array([1.0, 2.0, 5.0]))  # fmt: skip

    async def story(harness):
        await harness.hello(b"one", "0")
        await harness.publish(0, 0, arrays=state.arrays())
        arrived = harness.repository.state(0)
        for name, array in state.arrays().items():
            assert np.array_equal(arrived.arrays()[name], array)

    at_work(story)


@pytest.mark.parametrize("protocol", [messages.PROTOCOL - 1, messages.PROTOCOL + 1])
def test_a_learner_of_another_version_is_told_in_its_own_protocol(protocol):
    folder = Path(tempfile.mkdtemp(prefix="b-"))
    endpoint = Endpoint.parse(f"ipc://{folder}/control")
    sockets = LearnerSockets(endpoint)
    hello = messages.encode(messages.Hello(name="other", agents="auto", device="cpu"))
    body = msgpack.unpackb(hello[0]) | {"protocol": protocol}
    sockets.send_control([msgpack.packb(body)])
    answers: list[list[bytes]] = []

    async def main() -> None:
        here = SimulatorSockets(endpoint, 1 << 20)
        repository = Repository(AGENTS)
        server = LearnerServer("a-run", CONFIG, repository, here, Events(), 10.0,
                    learned=lambda *_: None, changed=lambda: None, failed=lambda why: None,
                    report=lambda: REPORT)  # fmt: skip
        task = asyncio.create_task(server.serve_control())
        for _ in range(100):
            answers.extend(as_bytes(frames) for frames in sockets.receive(0.0)[0])
            if answers:
                break
            await asyncio.sleep(0.02)
        task.cancel()
        here.close()

    asyncio.run(main())
    sockets.close()
    shutil.rmtree(folder)
    [[header]] = answers
    answer = msgpack.unpackb(header)
    # Just what a refusal of that protocol would be.
    refusal = messages.Refusal(reason=answer["reason"])
    expected = msgpack.unpackb(messages.encode(refusal)[0]) | {"protocol": protocol}
    assert answer == expected
    assert f"protocol {messages.PROTOCOL} and this learner {protocol}" in answer["reason"]
