"""The learner's loop, step by step: with sockets and a clock that the test holds in its hands."""

from __future__ import annotations

import threading
from concurrent.futures import wait
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from brigade.config import RunConfig
from brigade.learn import learner as learner_module
from brigade.learn.learner import Learner, LearnerRefused, RunOver
from brigade.policy.build import described
from brigade.policy.network import Network
from brigade.ppo.agents import AgentStack, AgentState, initial_state
from brigade.ppo.parallel import GroupedUpdater
from brigade.ppo.update import Updater
from brigade.ppo.upload import Uploader
from brigade.sim.rollout import RolloutBuffer
from brigade.wire import messages
from brigade.wire.endpoints import Endpoint
from brigade.wire.messages import Frame, Granted, Header

NETWORK = Network(num_features=5, action_nvec=(3, 2, 2), hidden_size=8)
POLICY = described(NETWORK)
CONFIG = RunConfig(
    hidden_size=8, batch_size=8, num_epochs=2, update_interval=4, seed=11, num_agents_per_game=2
)
RUN = "a-run"
CPU = torch.device("cpu")


@dataclass
class Clock:
    now: float = 1000.0

    def monotonic(self) -> float:
        self.now += 1e-4  # so that nothing that waits for a time waits for ever
        return self.now

    perf_counter = monotonic


@dataclass
class Sockets:
    """Stands for ``LearnerSockets``: what a simulator would send, and what it would get."""

    control: list[list[Frame]] = field(default_factory=list)
    experience: list[list[Frame]] = field(default_factory=list)
    endpoint: Endpoint = field(default_factory=lambda: Endpoint.parse("ipc:///tmp/x"))
    nowhere: str = ""  # why the simulator's name is unknown
    attached: tuple[str, str] | None = None
    said: list[Header] = field(default_factory=list)
    published: list[tuple[messages.Weights, AgentState]] = field(default_factory=list)
    acknowledging: bool = False  # what is published

    def reach(self) -> str:
        return self.nowhere

    def attach(self, weights: str, experience: str) -> None:
        self.attached = weights, experience

    def detach(self) -> None:
        self.attached = None

    def send_control(self, frames: list[Frame]) -> None:
        self.said.append(messages.decode(frames)[0])

    def publish(self, frames: list[Frame]) -> None:
        assert self.attached is not None, "published without sockets"
        header, arrays = messages.decode([bytes(frame) for frame in frames])
        assert isinstance(header, messages.Weights)
        state = AgentState(header.version, header.steps, **arrays)  # type: ignore[arg-type]
        self.published.append((header, state))
        if self.acknowledging:
            arrived = messages.Acknowledge(run=RUN, agent=header.agent, version=header.version)
            self.control.append(message(arrived))

    def receive(self, timeout: float) -> tuple[list[list[Frame]], list[list[Frame]]]:
        control, self.control = self.control, []
        experience, self.experience = self.experience, []
        return control, experience

    def take(self, what: str) -> list[Any]:
        taken = getattr(self, what)
        setattr(self, what, [])
        return taken


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(learner_module, "time", clock)
    return clock


@pytest.fixture
def sockets() -> Sockets:
    return Sockets()


@pytest.fixture
def learner(clock: Clock, sockets: Sockets) -> Learner:
    return Learner(sockets, "tester", "3,5", CPU)  # type: ignore[arg-type]


def welcome(agents=(3, 5), states: dict[int, AgentState] | None = None, **changes) -> list[Frame]:
    states = states or {}
    granted = [
        Granted(a, 0, states[a].version, states[a].steps, states[a].rollbacks, True)
        if a in states
        else Granted(a, 0, 0, 0, 0, False)
        for a in agents
    ]
    header = messages.Welcome(
        run=RUN,
        slot=4,
        weights="-weights",
        experience="-experience-4",
        config=msgspec.to_builtins(CONFIG),
        policies=[POLICY],
        agents=granted,
    )
    arrays = {f"{a}/{n}": x for a, s in states.items() for n, x in s.arrays().items()}
    return as_bytes(messages.encode(msgspec.structs.replace(header, **changes), arrays))


def as_bytes(frames: list[Frame]) -> list[Frame]:
    return [bytes(frame) for frame in frames]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set it to let updates go on; until then each waits in its first gradient batch."""
    release = threading.Event()
    usual = Updater._gradient_batch

    def batch(updater, *args):
        assert release.wait(60)
        return usual(updater, *args)

    monkeypatch.setattr(Updater, "_gradient_batch", batch)
    monkeypatch.setattr(learner_module, "BEAT_SECONDS", 0.001)
    return release


def message(header: Header) -> list[Frame]:
    return as_bytes(messages.encode(header))


def experience(agent: int, sequence: int, version: int | None = None, run=RUN) -> list[Frame]:
    """A rollout of 16 transitions, which follows from agent and sequence."""
    rng = np.random.default_rng([agent, sequence])
    buffer = RolloutBuffer(16, 1, NETWORK.num_features, NETWORK.action_nvec)
    agents = np.array([agent])
    for step in range(16):
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
        if step == 7:
            yes, no = np.array([True]), np.array([False])
            buffer.end(np.array([0]), agents, yes, no, rng.random((1, 5), dtype=np.float32))
    buffer.cut(agents, rng.random((1, 5), dtype=np.float32))
    header = messages.Experience(run=run, agent=agent, sequence=sequence, progress=0.5)
    acted = sequence if version is None else version
    return as_bytes(messages.encode(header, buffer.arrays(agent, acted)))


def assert_same(one: AgentState, other: AgentState) -> None:
    assert (one.version, one.steps) == (other.version, other.steps)
    for name, array in one.arrays().items():
        assert np.array_equal(array, other.arrays()[name]), name


def join(learner: Learner, sockets: Sockets, **kinds) -> None:
    sockets.control.append(welcome(**kinds))
    learner.step(0)
    set_up(learner)


def set_up(learner: Learner) -> None:
    """Wait for what a welcome makes a learner set up, and let it begin."""
    lease = learner._lease
    if lease is not None and lease.updater is None:
        wait([lease.setting_up], 60)
        learner.step(0)


# ---- joining -----------------------------------------------------------------------------


def test_it_says_hello_until_it_is_answered(sockets, clock):
    told = []
    learner = Learner(sockets, "tester", "3,5", CPU, lambda *line: told.append(line))
    for _ in range(3):
        learner.step(0)
        clock.now += 1
    [hello] = sockets.take("said")
    assert (hello.name, hello.agents, hello.device) == ("tester", "3,5", "cpu")
    clock.now += 5
    learner.step(0)
    assert sockets.take("said") == [hello]
    assert learner.agents == []
    assert told == [("unanswered", "no simulator answers at ipc:///tmp/x: waiting for one")]
    clock.now += 6
    learner.step(0)
    assert len(told) == 1, "it is said once"


def test_a_simulator_whose_name_is_unknown_is_told_at_once(sockets, clock):
    told = []
    learner = Learner(sockets, "tester", "3,5", CPU, lambda *line: told.append(line))
    sockets.nowhere = "the name sim.lan cannot be resolved (no such name)"
    learner.step(0)
    assert told == [("unresolved", f"{sockets.nowhere}: waiting for it")]
    clock.now += 6
    learner.step(0)
    assert len(told) == 1, "it is said once"
    sockets.nowhere = ""
    clock.now += 6
    learner.step(0)
    assert told[1:] == [("unanswered", "no simulator answers at ipc:///tmp/x: waiting for one")]


def test_a_welcome_is_followed_to_where_it_says(learner, sockets):
    join(learner, sockets)
    assert learner.agents == [3, 5]
    assert learner.versions == [0, 0]
    assert sockets.attached == ("-weights", "-experience-4")


def test_untrained_agents_follow_from_the_runs_seed(learner, sockets):
    join(learner, sockets)
    assert [header.agent for header, _ in sockets.published] == [3, 5]
    for header, state in sockets.published:
        assert (header.run, header.version, header.metrics) == (RUN, 0, {})
        assert_same(state, initial_state(NETWORK, 11, header.agent))


def test_agents_with_a_past_go_on_from_it(learner, sockets):
    past = replace(initial_state(NETWORK, 9, 5), version=7, steps=28)
    join(learner, sockets, states={5: past})
    assert learner.versions == [0, 7]
    assert_same(sockets.published[1][1], past)


def test_a_second_welcome_changes_nothing(learner, sockets):
    join(learner, sockets)
    sockets.take("published")
    join(learner, sockets, agents=(1,))
    assert learner.agents == [3, 5]
    assert sockets.take("published") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"agents": []},
        {"agents": [Granted(3, 0, 0, 0, 0, False), Granted(3, 0, 0, 0, 0, False)]},
        {"agents": [Granted(3, 0, 4, 0, 0, True)]},  # its arrays are not there
        {"policies": []},
        {"policies": [{}]},
        {"policies": [POLICY, {}]},  # though nobody has the second
        {"policies": [POLICY, POLICY | {"hidden_size": 9}]},
        {"policies": [POLICY] * 1001},
        {"agents": [Granted(3, 1, 0, 0, 0, False)]},
        {"agents": [Granted(3, 0, 0, 0, 0, False), Granted(5, 2**40, 0, 0, 0, False)]},
        {"policies": [POLICY | {"action_nvec": []}]},
        {"policies": [POLICY | {"action_nvec": [3, 0, 2]}]},
        {"policies": [POLICY | {"num_features": 0}]},
        {"policies": [POLICY | {"hidden_size": 1 << 40}]},
        {"policies": [POLICY | {"seats": [0]}]},
        {"policies": [POLICY | {"kind": "one to come"}]},
        {"config": {}},
        {"config": {"seed": 1, "no_such_setting": 1}},
        {"config": {"seed": 1, "hidden_size": -1}},
        {"weights": "no such place"},
        {"experience": "/etc/passwd"},
    ],
    ids=[
        "no agents",
        "an agent twice",
        "a state without arrays",
        "no policy",
        "a policy of nothing",
        "a second policy of nothing",
        "a second policy of another width",
        "policies without end",
        "a policy that there is not",
        "a policy that there is not, of one agent",
        "no actions",
        "no choice",
        "no features",
        "a width without end",
        "seats without anything to share out",
        "another kind of policy",
        "no seed",
        "an unknown setting",
        "a wrong setting",
        "no place for weights",
        "a place of another's",
    ],
)
def test_a_welcome_that_does_not_fit_is_dropped_and_counted(clock, changes):
    class Strict(Sockets):
        def attach(self, weights: str, experience: str) -> None:
            from brigade.wire.endpoints import Endpoint

            for suffix in (weights, experience):
                Endpoint.parse("ipc:///tmp/x").at(suffix)
            super().attach(weights, experience)

    sockets = Strict()
    learner = Learner(sockets, "tester", "3,5", CPU)  # type: ignore[arg-type]
    sockets.control.append(as_bytes(welcome()))
    header = msgspec.structs.replace(messages.decode(sockets.control.pop())[0], **changes)
    sockets.control.append(message(header))
    learner.step(0)
    assert learner.bad_messages == 1
    assert learner.agents == []
    assert sockets.published == []
    join(learner, sockets)
    assert learner.agents == [3, 5], "it waits for a better one"


OTHER = Network(num_features=4, action_nvec=(6,), hidden_size=8)


def test_agents_of_two_roles_have_networks_of_their_own(learner, sockets):
    past = replace(initial_state(OTHER, 9, 5), version=7, steps=28)
    frames = two_roles(past)
    sockets.control.append(frames)
    learner.step(0)
    set_up(learner)
    assert learner.versions == [0, 7]
    (_, first), (_, second) = sockets.published
    assert_same(first, initial_state(NETWORK, 11, 3))
    assert_same(second, past)


@pytest.mark.parametrize("granted", [0, 1])
def test_a_state_of_another_roles_length_is_refused(learner, sockets, granted):
    network = (NETWORK, OTHER)[1 - granted]
    sockets.control.append(two_roles(initial_state(network, 9, 5), granted))
    learner.step(0)
    assert learner.bad_messages == 1
    assert learner.agents == []


def two_roles(past: AgentState, policy: int = 1) -> list[Frame]:
    """A welcome to agent 3, and to agent 5 as it is after its past."""
    agents = [
        Granted(3, 0, 0, 0, 0, False),
        Granted(5, policy, past.version, past.steps, past.rollbacks, True),
    ]
    header, _ = messages.decode(welcome())
    header = msgspec.structs.replace(header, policies=[POLICY, described(OTHER)], agents=agents)
    arrays = {f"5/{name}": array for name, array in past.arrays().items()}
    return as_bytes(messages.encode(header, arrays))


def test_experience_of_another_roles_shape_is_dropped_and_counted(learner, sockets):
    sockets.control.append(two_roles(initial_state(OTHER, 9, 5)))
    learner.step(0)
    set_up(learner)
    sockets.experience.append(experience(5, 0))  # of agent 3's shape
    learner.step(0)
    assert learner.bad_messages == 1
    sockets.experience.append(experience(3, 0))
    learner.step(0)
    assert learner.bad_messages == 1


# ---- publishing --------------------------------------------------------------------------


def test_weights_are_published_until_they_are_acknowledged(learner, sockets, clock):
    join(learner, sockets)
    sockets.take("published")
    sockets.control.append(message(messages.Acknowledge(run=RUN, agent=3, version=0)))
    learner.step(0)
    sent = []
    for tick in range(100):
        clock.now += 0.1
        learner.step(0)
        for header, _ in sockets.take("published"):
            assert header.agent == 5, "3 has arrived"
            sent.append(tick)
    gaps = np.diff(sent)
    assert len(sent) >= 5
    assert (np.diff(gaps) >= 0).all(), "less and less often"
    sockets.control.append(message(messages.Acknowledge(run=RUN, agent=5, version=0)))
    learner.step(0)
    clock.now += 100
    learner.step(0)
    assert sockets.published == []


def test_an_acknowledgement_of_an_older_version_does_not_count(learner, sockets, clock):
    join(learner, sockets, agents=(3,))
    sockets.experience.append(experience(3, 0))
    assert learner.step(0)
    sockets.take("published")
    sockets.control.append(message(messages.Acknowledge(run=RUN, agent=3, version=0)))
    learner.step(0)
    clock.now += 1
    learner.step(0)
    assert [header.version for header, _ in sockets.published] == [1]


def test_until_something_is_acknowledged_one_message_asks_whether_anybody_hears(
    learner, sockets, clock
):
    """All would be lost where the subscription is not up, and be too much where it is slow."""
    join(learner, sockets)
    assert len(sockets.take("published")) == 2
    sent = 0
    for _ in range(20):
        sockets.control.append(message(messages.Heartbeat(run=RUN)))
        clock.now += 3
        learner.step(0)
        again = [header.agent for header, _ in sockets.take("published")]
        assert again in ([], [3])
        sent += len(again)
    assert sent >= 5
    sockets.control.append(message(messages.Acknowledge(run=RUN, agent=3, version=0)))
    learner.step(0)
    clock.now += 0.2
    learner.step(0)
    assert [header.agent for header, _ in sockets.take("published")] == [5], "lost, perhaps"


def test_a_version_that_was_lost_is_published_again_before_the_one_after_it(
    learner, sockets, clock
):
    """In overlap a learner may have two rollouts, and learn from both before it is heard."""
    join(learner, sockets)
    for agent in (3, 5):
        sockets.control.append(message(messages.Acknowledge(run=RUN, agent=agent, version=0)))
    learner.step(0)
    for sequence in (0, 1):
        sockets.experience += [experience(3, sequence), experience(5, sequence)]
    assert learner.step(0)
    assert learner.step(0)
    sockets.take("published")  # and lost
    clock.now += 5
    learner.step(0)
    again = [(header.agent, header.version) for header, _ in sockets.take("published")]
    assert again == [(3, 1), (3, 2), (5, 1), (5, 2)]
    sockets.control.append(message(messages.Acknowledge(run=RUN, agent=3, version=1)))
    sockets.control.append(message(messages.Acknowledge(run=RUN, agent=5, version=2)))
    learner.step(0)
    clock.now += 5
    learner.step(0)
    again = [(header.agent, header.version) for header, _ in sockets.take("published")]
    assert again == [(3, 2)]


def test_an_agent_that_diverged_is_published_as_it_was_before(learner, sockets):
    join(learner, sockets)
    [(_, first), _] = sockets.take("published")
    frames = experience(3, 0)
    header, arrays = messages.decode(frames)
    arrays["rewards"] = np.full_like(arrays["rewards"], 3e38)
    sockets.experience += [as_bytes(messages.encode(header, arrays)), experience(5, 0)]
    assert learner.step(0)
    (weights, state), (other, _) = sockets.take("published")
    assert weights.diverged
    assert weights.version == 1
    assert weights.rollbacks == 1
    assert_same(state, replace(first, version=1))
    assert None in weights.metrics.values(), "what is not finite travels as nothing"
    assert not other.diverged
    assert all(value is not None for value in other.metrics.values())


def test_its_heart_beats_while_it_sets_itself_up(sockets, clock, monkeypatch):
    """Networks of 32 agents with 2,048 units take a minute to draw."""
    ready = threading.Event()

    def slow(*args: Any) -> AgentState:
        assert ready.wait(60)
        return initial_state(*args)

    monkeypatch.setattr(learner_module, "initial_state", slow)
    learner = Learner(sockets, "tester", "3,5", CPU)
    sockets.control.append(welcome())
    learner.step(0)
    for _ in range(10):
        sockets.take("said")
        clock.now += 2
        sockets.control.append(message(messages.Heartbeat(run=RUN, outstanding=2)))
        learner.step(0)
        assert sockets.said == [messages.Heartbeat(run=RUN)]
    assert sockets.published == []
    ready.set()
    set_up(learner)
    assert [header.agent for header, _ in sockets.published] == [3, 5]


@pytest.mark.parametrize("how", ["the run's end", "a stop", "a lost lease"])
def test_what_it_sets_up_is_given_up_where_nobody_wants_it(sockets, clock, monkeypatch, how):
    begun, ready, drawn = threading.Event(), threading.Event(), []

    def slow(network: Network, seed: int, agent: int) -> AgentState:
        begun.set()
        assert ready.wait(60)
        drawn.append(agent)
        return initial_state(network, seed, agent)

    monkeypatch.setattr(learner_module, "initial_state", slow)
    learner = Learner(sockets, "tester", "3,5", CPU)
    sockets.control.append(welcome())
    learner.step(0)
    setting_up = learner._lease.setting_up
    assert begun.wait(60)
    if how == "a stop":
        learner.stop("stopped by SIGINT")
        assert learner.run() == "stopped by SIGINT"
    elif how == "the run's end":
        sockets.control.append(message(messages.Stop(run=RUN, reason="enough")))
        assert learner.run() == "enough"
    else:
        refusal = messages.Refusal(reason="your lease has run out", final=False)
        sockets.control.append(message(refusal))
        learner.step(0)
        learner.step(0)
        assert isinstance(sockets.said[-1], messages.Hello)
    ready.set()
    wait([setting_up], 60)
    assert drawn == [3], "the second was not begun"


def test_experience_of_another_that_had_the_slot_makes_it_join_anew(learner, sockets):
    sockets.control.append(moved(welcome(), generation=7))
    learner.step(0)
    set_up(learner)
    sockets.experience += [moved(experience(3, 0), generation=6)]
    learner.step(0)
    assert learner.agents == []
    assert sockets.attached is None
    learner.step(0)
    assert isinstance(sockets.said[-1], messages.Hello)


def test_there_is_a_heartbeat_every_second_or_so(learner, sockets, clock):
    join(learner, sockets)
    sockets.take("said")
    for _ in range(100):
        clock.now += 0.1
        learner.step(0)
    beats = sockets.take("said")
    assert all(beat == messages.Heartbeat(run=RUN) for beat in beats)
    assert 5 <= len(beats) <= 12


# ---- learning ----------------------------------------------------------------------------


def test_on_a_gpu_the_next_rollout_is_fetched_beside_the_update(sockets, held):
    """Played on the CPU, with uploads that copy at once."""
    learner = Learner(sockets, "tester", "3,5", CPU)
    learner._uploader = Uploader(CPU)
    join(learner, sockets)
    sockets.experience += [experience(3, 0), experience(5, 0)]
    receive, calls = sockets.receive, 0

    def arrive(timeout):
        nonlocal calls
        calls += 1
        if calls == 2:  # the first is before the update
            sockets.experience += [experience(3, 1), experience(5, 1)]
        if calls == 3:
            held.set()
        return receive(timeout)

    sockets.receive = arrive
    assert learner.step(0)
    assert calls >= 3
    assert not sockets.experience, "it came in beside the update"
    assert learner.step(0)
    assert learner.versions == [2, 2]
    plain = Learner(Sockets(), "tester", "3,5", CPU)
    join(plain, plain._sockets)
    for sequence in (0, 1):
        plain._sockets.experience += [experience(3, sequence), experience(5, sequence)]
        assert plain.step(0)
    for (_, one), (_, other) in zip(
        sockets.published[-2:], plain._sockets.published[-2:], strict=True
    ):
        assert_same(one, other)


def test_it_learns_when_every_agents_next_rollout_is_here(learner, sockets):
    join(learner, sockets)
    sockets.take("published")
    sockets.experience += [experience(3, 1), experience(3, 0), experience(3, 0)]
    assert not learner.step(0)
    sockets.experience.append(experience(5, 0))
    assert learner.step(0)
    assert learner.versions == [1, 1]
    sockets.experience.append(experience(5, 1))
    assert learner.step(0)
    assert [(h.agent, h.version) for h, _ in sockets.published] == [(3, 1), (5, 1), (3, 2), (5, 2)]
    assert learner.bad_messages == 0


def test_it_publishes_what_the_update_makes_of_the_rollouts(learner, sockets):
    join(learner, sockets)
    sockets.take("published")
    by_hand = Updater(
        AgentStack(NETWORK, [3, 5], [initial_state(NETWORK, 11, a) for a in (3, 5)], CPU),
        CONFIG,
        11,
    )
    from brigade.learn.experience import read_experience

    networks = dict.fromkeys((3, 5), NETWORK)
    for sequence in range(3):
        frames = [experience(agent, sequence) for agent in (3, 5)]
        sockets.experience += frames
        assert learner.step(0)
        by_hand.update(
            [
                read_experience(*messages.decode(f), RUN, networks, CONFIG.advantages)[1].rollout
                for f in frames
            ],
            progress=0.5,
        )
        for (header, state), expected in zip(
            sockets.take("published"), by_hand.stack.states(), strict=True
        ):
            assert_same(state, expected)
            assert header.steps == state.steps == 4 * (sequence + 1)
            assert header.metrics["transitions"] == 16
            assert header.metrics["lag"] == 0
            assert all(np.isfinite(value) for value in header.metrics.values())


def test_two_learners_make_of_their_agents_what_one_would(clock):
    found: dict[tuple[int, ...], dict[int, AgentState]] = {}
    for group in ((3, 5), (3,), (5,)):
        sockets = Sockets()
        learner = Learner(sockets, "tester", "any", CPU)  # type: ignore[arg-type]
        join(learner, sockets, agents=group)
        for sequence in range(2):
            sockets.experience += [experience(agent, sequence) for agent in group]
            assert learner.step(0)
        found[group] = {header.agent: state for header, state in sockets.published}
    for agent in (3, 5):
        one, other = found[3, 5][agent], found[agent,][agent]
        for name, array in one.arrays().items():
            np.testing.assert_allclose(array, other.arrays()[name], rtol=1e-4, atol=1e-6)


def test_a_learner_that_takes_over_goes_on_as_the_one_before_would_have(clock):
    one, two = Sockets(), Sockets()
    first = Learner(one, "first", "3", CPU)  # type: ignore[arg-type]
    join(first, one, agents=(3,))
    for sequence in range(2):
        one.experience.append(experience(3, sequence))
        assert first.step(0)
    second = Learner(two, "second", "3", CPU)  # type: ignore[arg-type]
    join(second, two, agents=(3,), states={3: one.published[-1][1]})
    for learner, sockets in ((first, one), (second, two)):
        sockets.experience.append(experience(3, 2))
        assert learner.step(0)
    assert_same(one.published[-1][1], two.published[-1][1])


def test_the_lag_is_how_many_versions_older_the_acting_policy_was(learner, sockets):
    join(learner, sockets)
    for sequence, version in ((0, 0), (1, 0), (2, 1)):
        sockets.take("published")
        sockets.experience += [experience(3, sequence, version), experience(5, sequence)]
        assert learner.step(0)
        lags = {header.agent: header.metrics["lag"] for header, _ in sockets.published}
        assert lags == {3: sequence - version, 5: 0}


# ---- what goes wrong ---------------------------------------------------------------------


def test_bad_messages_are_counted_and_dropped(learner, sockets):
    join(learner, sockets)
    bad = [
        [b"noise"],
        [],
        message(messages.Heartbeat(run=RUN)),
        experience(3, 0, run="another-run"),
        experience(4, 0),
        experience(3, 1000),
        [*experience(3, 0)[:-1], b""],
    ]
    sockets.experience += bad
    sockets.control += [[b"noise"], message(messages.Hello(name="x", agents="0", device="cpu"))]
    assert not learner.step(0)
    assert learner.bad_messages == len(bad) + 2
    sockets.experience += [experience(3, 0), experience(5, 0)]
    assert learner.step(0)


def test_a_refusal_is_final_before_the_welcome(learner, sockets):
    refusal = messages.Refusal(reason="agent 3 already taken by another")
    sockets.control.append(message(refusal))
    with pytest.raises(LearnerRefused, match="agent 3 already taken by another"):
        learner.run()


def test_a_lease_that_ran_out_is_asked_for_again(learner, sockets, clock):
    join(learner, sockets)
    sockets.take("said")
    sockets.control.append(message(messages.Refusal(reason="your lease has run out", final=False)))
    learner.step(0)
    assert sockets.attached is None, "the data sockets may be another's by now"
    clock.now += 0.1
    learner.step(0)
    assert isinstance(sockets.take("said")[-1], messages.Hello)
    sockets.take("published")
    past = replace(initial_state(NETWORK, 9, 3), version=2, steps=8)
    join(learner, sockets, agents=(3,), states={3: past})
    assert (learner.agents, learner.versions) == ([3], [2])
    assert [header.version for header, _ in sockets.published] == [2]


def test_a_lease_that_runs_out_during_an_update_is_asked_for_again(
    learner, sockets, clock, monkeypatch, held
):
    join(learner, sockets)
    sockets.take("published")
    sockets.experience += [experience(3, 0), experience(5, 0)]
    refusal = message(messages.Refusal(reason="your lease has run out", final=False))
    receive = sockets.receive

    def refuse_during_the_update(timeout):
        control, rollouts = receive(timeout)
        if not rollouts and sockets.attached:
            control = [*control, refusal]
            held.set()
        return control, rollouts

    monkeypatch.setattr(sockets, "receive", refuse_during_the_update)
    learner.step(0)
    clock.now += 0.1
    learner.step(0)
    assert sockets.published == [], "the agents are another's"
    assert isinstance(sockets.said[-1], messages.Hello)


def test_a_lease_that_runs_out_in_the_last_moment_of_an_update_is_noticed(
    learner, sockets, monkeypatch
):
    join(learner, sockets)
    sockets.take("published")
    sockets.experience += [experience(3, 0), experience(5, 0)]
    update = GroupedUpdater.update

    def update_and_then_look(self, rollouts, *, meanwhile, **more):
        learned = update(self, rollouts, **more)
        refusal = messages.Refusal(reason="your lease has run out", final=False)
        sockets.control.append(message(refusal))
        meanwhile()
        return learned

    monkeypatch.setattr(GroupedUpdater, "update", update_and_then_look)
    learner.step(0)
    assert sockets.published == [], "the agents are another's"


def test_it_follows_the_simulators_last_welcome(learner, sockets):
    # One that was slow to answer may have been asked twice, and holds to its last answer.
    join(learner, sockets)
    sockets.control.append(moved(welcome(), fencing_token="new", experience="-experience-5"))
    learner.step(0)
    assert sockets.attached == ("-weights", "-experience-5")
    set_up(learner)
    sockets.experience += [experience(3, 0), experience(5, 0)]
    assert learner.step(0)


def moved(frames: list[Frame], **changes: Any) -> list[Frame]:
    header, arrays = messages.decode(frames)
    return as_bytes(messages.encode(msgspec.structs.replace(header, **changes), arrays))


def test_a_simulator_that_falls_silent_is_asked_again_for_the_same_run(learner, sockets, clock):
    join(learner, sockets)
    clock.now += learner_module.SIMULATOR_TIMEOUT_SECONDS / 2
    sockets.control.append(message(messages.Heartbeat(run=RUN)))
    learner.step(0)
    clock.now += learner_module.SIMULATOR_TIMEOUT_SECONDS - 1
    learner.step(0)
    assert sockets.attached is not None, "it was heard not long ago"
    clock.now += 2
    learner.step(0)
    assert sockets.attached is None
    sockets.take("said")
    clock.now += 10
    learner.step(0)
    [hello] = sockets.take("said")
    assert (hello.agents, hello.run) == ("3,5", RUN)
    sockets.control.append(moved(welcome(), run="another-run"))
    with pytest.raises(LearnerRefused, match="another-run"):
        learner.step(0)


def test_a_line_that_lost_something_is_mended(learner, sockets, clock):
    join(learner, sockets)
    for agent in (3, 5):
        sockets.control.append(message(messages.Acknowledge(run=RUN, agent=agent, version=0)))
    learner.step(0)
    for outstanding in (0, 2):  # it is only mended where the simulator says that it sent something
        for _ in range(15):
            clock.now += 1
            beat = messages.Heartbeat(run=RUN, outstanding=outstanding)
            sockets.control.append(message(beat))
            learner.step(0)
        assert (sockets.attached is None) == (outstanding > 0)
    assert any(isinstance(said, messages.Hello) for said in sockets.said)


def test_it_stands_by_where_it_is_told_to(clock, sockets):
    learner = Learner(sockets, "tester", "3,5", CPU, stand_by=True)  # type: ignore[arg-type]
    taken = messages.Refusal(reason="already taken by another", final=False)
    for _ in range(3):
        sockets.control.append(message(taken))
        clock.now += 10
        learner.step(0)
    assert len([said for said in sockets.said if isinstance(said, messages.Hello)]) == 3
    join(learner, sockets)
    assert learner.agents == [3, 5]
    sockets.control.append(message(messages.Refusal(reason="no such agents")))
    with pytest.raises(LearnerRefused, match="no such agents"):
        learner.run()


@pytest.mark.parametrize("stand_by", [False, True])
def test_it_says_whether_it_would_stand_by(sockets, clock, stand_by):
    learner = Learner(sockets, "tester", "3,5", CPU, stand_by=stand_by)
    learner.step(0)
    assert sockets.said[-1].stand_by == stand_by


def test_what_may_pass_is_asked_for_again(learner, sockets, clock):
    learner.step(0)
    for _ in range(3):
        refusal = messages.Refusal(reason="every experience socket is in use", final=False)
        sockets.control.append(message(refusal))
        sockets.take("said")
        clock.now += learner_module.HELLO_SECONDS + 1
        learner.step(0)
        learner.step(0)
        assert isinstance(sockets.said[-1], messages.Hello)
    join(learner, sockets)
    assert learner.agents == [3, 5]


def test_it_leaves_after_its_updates_when_they_have_arrived(sockets, clock, monkeypatch):
    learner = Learner(sockets, "tester", "3,5", CPU, max_updates=1)  # type: ignore[arg-type]
    sockets.control.append(welcome())
    learner.step(0)
    sockets.experience += [experience(3, 0), experience(5, 0)]
    sockets.experience += [experience(3, 1), experience(5, 1)]
    sockets.acknowledging = True
    set_up(learner)
    started = clock.now
    assert "1 update" in learner.run()
    assert learner.versions == [1, 1]
    assert isinstance(sockets.said[-1], messages.Goodbye)
    assert clock.now - started < 1, "it did not wait longer than it had to"


@pytest.mark.parametrize(
    ("moment", "versions"), [("receive", [0, 0]), ("publish", [1, 1]), ("_gradient_batch", [0, 0])]
)
def test_told_to_stop_it_leaves_with_whole_messages_and_whole_updates(
    learner, sockets, monkeypatch, moment, versions
):
    """As a signal's handler tells it, wherever it is."""
    sockets.acknowledging = True
    join(learner, sockets)
    place = Updater if moment == "_gradient_batch" else sockets
    usual, meanwhile, noticed = getattr(place, moment), learner._meanwhile, threading.Event()

    def interrupted(*args: Any) -> Any:
        result = usual(*args)
        learner.stop("stopped by SIGTERM")
        if moment == "_gradient_batch":
            assert noticed.wait(60)
        return result

    def notice(lease: Any) -> None:
        try:
            meanwhile(lease)
        except BaseException:
            noticed.set()
            raise

    monkeypatch.setattr(place, moment, interrupted)
    monkeypatch.setattr(learner, "_meanwhile", notice)
    sockets.experience += [experience(3, 0), experience(5, 0)] if moment != "receive" else []
    assert learner.run() == "stopped by SIGTERM"
    assert sockets.said[-1] == messages.Goodbye(run=RUN, reason="stopped by SIGTERM")
    newest = {header.agent: header.version for header, _ in sockets.published}
    assert newest == dict(zip((3, 5), versions, strict=True))


def test_a_silent_simulator_is_waited_for_and_must_be_of_the_same_run(learner, sockets, clock):
    join(learner, sockets)
    clock.now += learner_module.SIMULATOR_TIMEOUT_SECONDS + 1
    learner.step(0)
    assert learner.agents == []
    assert sockets.attached is None
    clock.now += learner_module.HELLO_SECONDS + 1
    learner.step(0)
    assert sockets.said[-1].run == RUN
    sockets.control.append(as_bytes(welcome(run="another")))
    with pytest.raises(LearnerRefused, match="this is run another, where run a-run was"):
        learner.step(0)


def test_the_last_of_several_welcomes_counts(learner, sockets):
    join(learner, sockets)
    sockets.control += [
        as_bytes(welcome(fencing_token=f"{n}", experience=f"-experience-{n}")) for n in (5, 6)
    ]
    learner.step(0)
    assert sockets.attached == ("-weights", "-experience-6")


def test_it_joins_anew_when_experience_was_lost_on_its_way(learner, sockets, clock):
    join(learner, sockets)
    for agent in (3, 5):
        sockets.control.append(message(messages.Acknowledge(run=RUN, agent=agent, version=0)))
    for seconds in range(11):
        assert learner.agents, f"too soon, after {seconds} s"
        sockets.control.append(message(messages.Heartbeat(run=RUN, outstanding=2)))
        learner.step(0)
        clock.now += 1
    learner.step(0)
    assert learner.agents == []
    assert isinstance(sockets.said[-1], messages.Hello)


def test_it_stands_by_while_others_have_the_agents(clock, sockets):
    learner = Learner(sockets, "spare", "3,5", CPU, stand_by=True)  # type: ignore[arg-type]
    refusal = messages.Refusal(reason="agent 3 already taken by another", final=False)
    sockets.control.append(message(refusal))
    learner.step(0)
    clock.now += learner_module.HELLO_SECONDS + 1
    learner.step(0)
    assert isinstance(sockets.said[-1], messages.Hello)
    join(learner, sockets)
    assert learner.agents == [3, 5]


@pytest.mark.parametrize("failed", [False, True])
def test_it_leaves_when_the_run_is_over(learner, sockets, failed):
    join(learner, sockets)
    sockets.take("said")
    sockets.control.append(message(messages.Stop(run=RUN, reason="that was it", failed=failed)))
    if failed:
        with pytest.raises(RunOver, match="that was it"):
            learner.run()
    else:
        assert learner.run() == "that was it"
    assert isinstance(sockets.said[-1], messages.Goodbye)


def test_it_stays_in_touch_during_a_long_update_and_hears_the_end(
    learner, sockets, clock, monkeypatch, held
):
    join(learner, sockets)
    sockets.take("said")
    sockets.experience += [experience(3, 0), experience(5, 0)]
    receive, calls = sockets.receive, 0

    def stop_at_the_fifth_look(timeout):
        nonlocal calls
        calls += 1
        clock.now += 2
        if calls == 5:
            sockets.control.append(message(messages.Stop(run=RUN, reason="enough")))
            held.set()
        return receive(timeout)

    monkeypatch.setattr(sockets, "receive", stop_at_the_fifth_look)
    assert learner.run() == "enough"
    assert sum(isinstance(said, messages.Heartbeat) for said in sockets.said) >= 2
    assert learner.versions == [0, 0], "a broken-off update is no version"


def test_a_long_update_is_not_taken_for_a_line_that_lost_something(learner, sockets, clock, held):
    join(learner, sockets)
    for agent in (3, 5):
        sockets.control.append(message(messages.Acknowledge(run=RUN, agent=agent, version=0)))
    learner.step(0)
    meanwhile, calls = learner._meanwhile, 0

    def slow(lease):
        nonlocal calls
        calls += 1
        clock.now += 10
        sockets.control.append(message(messages.Heartbeat(run=RUN, outstanding=2)))
        meanwhile(lease)
        if calls == 5:
            held.set()

    learner._meanwhile = slow
    sockets.experience += [experience(3, 0), experience(5, 0)]
    assert learner.step(0)
    assert learner.versions == [1, 1]
    assert not [said for said in sockets.said[1:] if isinstance(said, messages.Hello)]
