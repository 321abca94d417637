"""The simulator: plays rollouts with the policies that it has, and waits for better ones.

The loop of a run::

    await every agent's needed version -> let it act -> play a rollout -> send it -> ...

while the :mod:`learner_server`'s tasks answer learners and take their weights in. What is decided
here is decided by pure parts: which versions a rollout needs (:mod:`schedule`), who plays whom and
what they do (:mod:`rollout_worker`), who has which agents (:mod:`lease_table`).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from brigade.config import RunConfig
from brigade.games.vector import Activities, GameFailed, Remarks, VectorGame
from brigade.policy.population import Population
from brigade.ppo.agents import AgentState, initial_state
from brigade.ppo.divergence import refuse_too_large
from brigade.sim.cohorts import Cohorts, cohort_size
from brigade.sim.diagnosis import diagnose
from brigade.sim.episodes import Episodes
from brigade.sim.events import Events, Progress
from brigade.sim.learner_server import LearnerServer
from brigade.sim.matchmaking import steps_per_rollout
from brigade.sim.metrics_joiner import MetricsJoiner
from brigade.sim.outliers import Figures, Outlier, Watch, sentences
from brigade.sim.repository import Repository
from brigade.sim.resume_point import ResumePoint, ResumePoints, acting_states, missing_policies
from brigade.sim.rollout_worker import RolloutWorker
from brigade.sim.schedule import Schedule
from brigade.sim.statistics import Statistics
from brigade.store.checkpoint import Checkpoint
from brigade.wire import messages
from brigade.wire.transport import SimulatorSockets

LEASE_TIMEOUT_SECONDS = 15.0
# After a signal the run ends within five seconds, whatever the learners are doing: so long it waits
# for them, less what it takes to write the checkpoint.
LAST_WORDS_SECONDS = 3.0
STOP_SECONDS = 4.0
BYTES_PER_SECOND = 200e6  # that are written, until that was measured
# Longest stretch of playing without a look at the sockets.
YIELD_SECONDS = 0.005
REPORT_SECONDS = 0.5
SLOW_STEP_SECONDS = 0.1


class RunFailed(RuntimeError):
    """The run cannot go on; one line that says why."""


class NotWritten(RuntimeError):
    """A checkpoint cannot be written; one line that says why."""


class Simulator:
    """One run, on sockets that the caller has bound; files and output are the events' affair.

    Parameters
    ----------
    config
        With ``seed`` and ``run_name`` filled in.
    game
        What is played: as many games as ``config`` says.
    population
        The agents that play it.
    lease_timeout
        Seconds of silence after which a learner counts as lost.
    start_with
        Agents that must have a learner before the first game; the others play with their initial
        weights until theirs comes. By default all.
    max_rollbacks
        Updates of one agent that may be undone since they diverged, before the run ends.
    run
        The run's id, where it is not that of the settings.

    Attributes
    ----------
    earlier
        Seconds that the run had taken before it was resumed.
    """

    def __init__(
        self,
        config: RunConfig,
        game: VectorGame,
        population: Population,
        sockets: SimulatorSockets,
        events: Events,
        lease_timeout: float = LEASE_TIMEOUT_SECONDS,
        start_with: int | None = None,
        max_rollbacks: int = 3,
        *,
        run: str | None = None,
    ) -> None:
        assert config.seed is not None, "the run has a seed by now"
        self.run_id = run or config.identity(game.spec.arguments)
        self.config = config
        self.game = game.spec
        self.population = population
        self.repository = Repository(population)
        self.worker = RolloutWorker(config, game, self.repository, config.seed)
        self.statistics = Statistics(self.population.size)
        self._steps = steps_per_rollout(config, game.spec)
        self._cohorts = Cohorts(cohort_size(config))
        self.server = LearnerServer(
            self.run_id,
            config,
            self.repository,
            sockets,
            events,
            lease_timeout,
            learned=self._note_learned,
            changed=self._note_change,
            failed=self.fail,
            report=self.report,
        )
        self._schedule = Schedule(config.sync, config.max_lag)
        self._joiner = MetricsJoiner(population.size)
        self._watches = [Watch() for _ in population.networks]
        self._updates = 0  # of all agents, that have come back; since this process began
        self._events = events
        self._rollout = 0
        self._start_with = min(start_with or population.size, population.size)
        self._began = float("nan")  # when the first game did
        self._waits_since = math.inf  # for agents' policies; infinity while playing
        self.earlier = 0.0
        self._asked = time.perf_counter(), 0  # when somebody asked, and the transitions then
        self._reported = 0.0
        self._max_rollbacks = max_rollbacks
        self._behind: set[int] | None = None  # agents whose next rollout cannot be played yet
        self._points = ResumePoints()
        self._noted: ResumePoint | None = None  # to be written once it is complete
        self._next_checkpoint = config.checkpoint_interval
        self._writer = ThreadPoolExecutor(1, "write")
        self._player = ThreadPoolExecutor(1, "play")
        self._slow = False  # whether the last step of all games took long
        self._writing: asyncio.Task[None] | None = None
        networks = population.networks_of(range(population.size))
        self._num_weights = [network.num_weights for network in networks]
        self._write_seconds = 12 * population.num_parameters / BYTES_PER_SECOND
        self._awake = asyncio.Event()
        self._stopping = ""
        self._failure = ""
        self._crash: BaseException | None = None  # in the writing thread

    # ---- the run -------------------------------------------------------------------------

    async def run(self) -> None:
        """Play the whole run, to its end or until :meth:`stop`.

        Raises
        ------
        RunFailed
            A learner was lost, and the run is told to fail then.
        """
        tasks = [
            asyncio.create_task(self._play_all()),
            asyncio.create_task(self.server.serve_control()),
            asyncio.create_task(self.server.serve_weights()),
            asyncio.create_task(self.server.keep_time(self._awaited)),
            asyncio.create_task(self._keep_reporting()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if self._crash is not None:
                raise self._crash
            if self._failure:
                raise RunFailed(self._failure)
        except BaseException as error:
            await self.server.dismiss(f"the run failed: {error}", failed=True)
            raise
        else:
            await self.server.dismiss(self._stopping or "the run is complete", failed=False)
        finally:
            for task in tasks:
                task.cancel()
            self._writer.shutdown()
            self._player.shutdown()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of this run.

        Raises
        ------
        ValueError
            It does not fit this run, and nothing has changed.
        """
        if checkpoint.run != self.run_id:
            raise ValueError(f"it is of run {checkpoint.run}, not {self.run_id}")
        acting, statistics = self._check(checkpoint)
        refuse_too_large(checkpoint.agents, self._num_weights)
        self.worker.restore(checkpoint.simulator)
        self._rollout, self.statistics = int(checkpoint.simulator["rollout"]), statistics
        for agent, newest in enumerate(checkpoint.agents):
            if agent in acting and acting[agent].version < newest.version:
                self.repository.add(agent, acting[agent])
            self.repository.add(agent, newest)
            # What had been played beyond it is played again.
            self.server.rollouts[agent] = newest.version
        interval = self.config.checkpoint_interval
        self._next_checkpoint = (self.statistics.total_episodes // interval + 1) * interval

    def begin_with(self, agents: list[AgentState]) -> Checkpoint:
        """Begin with trained agents, whose optimisers begin anew; return where the run begins.

        Raises
        ------
        ValueError
            Theirs are no numbers to compute with.
        """
        refuse_too_large(agents, self._num_weights)
        for agent, state in enumerate(agents):
            zeros = np.zeros_like(state.parameters)
            first = AgentState(0, 0, state.parameters, zeros, zeros, state.statistics)
            self.repository.add(agent, first)
        point = ResumePoint(dict(self.server.rollouts), {}, self.statistics.to_dict(), self.state())
        point.take_as_final({agent: self.repository.state(agent) for agent in self.server.rollouts})
        return self._checkpoint(point)

    def check(self, checkpoint: Checkpoint) -> None:
        """See that a run can go on from a checkpoint; the games in it are not looked at.

        Raises
        ------
        ValueError
            Something is missing.
        """
        self._check(checkpoint)

    def _check(self, checkpoint: Checkpoint) -> tuple[dict[int, AgentState], Statistics]:
        state = checkpoint.simulator
        try:
            int(state["rollout"])
            acting = acting_states(state, self.population)
            statistics = Statistics.from_dict(checkpoint.statistics)
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(f"it is not whole: {type(error).__name__}: {error}") from None
        newest = dict(enumerate(checkpoint.agents))
        needed = {
            agent: self._schedule.played(agent_state.version, agent_state.version)
            for agent, agent_state in newest.items()
            if agent not in state.get("frozen", ())
        }
        missing = missing_policies(needed, (acting, newest))
        if missing:
            raise ValueError(f"it is not whole: {missing[0]} is missing")
        return acting, statistics

    async def _play_all(self) -> None:
        await self._until(self._manned)
        await self._freeze_the_rest()
        while not self.done and not self._ending:
            await self.step()
        await self._finish()

    async def step(self) -> None:
        """Play one rollout and send it, as soon as the policies that it needs are here."""
        self._waits_since = started = time.perf_counter()
        await self._until(lambda: not self._awaited())
        self._waits_since = math.inf
        self._joiner.times.wait += time.perf_counter() - started
        if self._ending:
            return
        played = self._next_to_act()
        self._note_point(played)
        self.repository.act_with(played)
        here = await self._play(played)
        if here is not None:
            await self._send(here)
        self._report()

    @property
    def done(self) -> bool:
        """Whether as much has been played as was asked for."""
        return self.share >= 1.0

    @property
    def share(self) -> float:
        """Share of the run that is done, in [0, 1]."""
        counted = self.statistics
        return self.config.share(counted.total_episodes, counted.total_transitions)

    @property
    def stopped(self) -> str:
        """Why the run ended before it was complete, in order; empty where it did not."""
        return "" if self.done else self._stopping

    @property
    def _ending(self) -> bool:
        return bool(self._stopping or self._failure)

    def stop(self, reason: str) -> None:
        """End the run in order, soon."""
        self._stopping = self._stopping or reason
        self._wake()

    def fail(self, reason: str) -> None:
        """End the run in order because it cannot go on."""
        self._failure = self._failure or reason
        self._wake()

    def _wake(self) -> None:
        self._awake.set()

    def _note_change(self) -> None:
        """Learners have come or gone."""
        self._behind = None
        if not self._ending:  # learners that leave because the run ends leave nothing undone
            self._points.take_as_final({a: self.repository.state(a) for a in self.server.frozen})
            self._write_learned()
            self._write_noted()
        self._wake()

    async def _until(self, condition: Callable[[], bool], timeout: float | None = None) -> None:
        """Wait until the condition holds or time is up; without a timeout, or the run is to end."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not condition():
            left = None if deadline is None else deadline - time.monotonic()
            if self._ending if left is None else left <= 0:
                return
            self._awake.clear()
            try:
                await asyncio.wait_for(self._awake.wait(), left)
            except TimeoutError:
                return

    def _awaited(self) -> list[int]:
        """Agents whose next rollout cannot be played yet."""
        if self._behind is None:
            learning, rollouts = self.server.learning(), self.server.rollouts
            awaited = self._schedule.awaited(learning, rollouts, self.repository.newest)
            self._behind = set(awaited)
        return sorted(self._behind)

    def _manned(self) -> bool:
        """Whether as many agents have a learner as the first game wants."""
        size = self.population.size
        return size - len(self.server.lease_table.free) >= self._start_with

    async def _freeze_the_rest(self) -> None:
        """Let agents without a learner play with what they have until theirs comes."""
        assert self.config.seed is not None
        if self._start_with < self.population.size and not self._ending:
            for agent in self.server.lease_table.free:
                if agent not in self.repository.newest:
                    state = await asyncio.to_thread(
                        initial_state, self.population.network_of(agent), self.config.seed, agent
                    )
                    self.repository.add(agent, state)
            self.server.leave_unattended()

    # ---- playing -------------------------------------------------------------------------

    async def _play(self, played: Mapping[int, int]) -> Statistics | None:
        """Play one rollout, looking at the sockets now and then, and tell what was counted in it.

        The last rollout of a run may be short. One that a signal cuts off (None) is not used, so
        that a run that is stopped and resumed learns what it would have learned without.
        """
        here = Statistics(self.population.size)
        started = slept = time.perf_counter()
        if math.isnan(self._began):
            self._began = started - self.earlier
        for _ in range(self._steps):
            try:
                episodes = await self._step_games()
            except GameFailed as failure:
                self._events.failed(failure)
                self.fail(f"{failure}")
                return None
            for counted in (self.statistics, here):
                counted.count_step(len(self.worker.seats), self.worker.acted)
                counted.count_episodes(episodes)
            self._cohorts.add(episodes)
            if self.done:
                break
            if self._ending:
                return None
            if time.perf_counter() - slept > YIELD_SECONDS:
                await asyncio.sleep(0)
                slept = time.perf_counter()
                if slept - self._reported > REPORT_SECONDS:
                    self._report()
        self._joiner.times.play += time.perf_counter() - started
        learning = self.server.learning()
        self._joiner.open(self._row(here, played), learning)
        if not learning:  # nobody will tell
            self._write_learned()
        return here

    async def _step_games(self) -> Episodes:
        """Play one step: beside the event loop where that takes long, so that hearts beat on."""
        began = time.perf_counter()
        if self._slow:
            episodes = await asyncio.get_running_loop().run_in_executor(
                self._player, self._step_as_here, torch.get_num_threads()
            )
        else:
            episodes = self.worker.step()
        self._slow = time.perf_counter() - began > SLOW_STEP_SECONDS
        return episodes

    def _step_as_here(self, num_threads: int) -> Episodes:
        """Play one step in another thread as in this one, of which torch's settings are its own."""
        if torch.get_num_threads() != num_threads:
            torch.set_num_threads(num_threads)
        torch.set_flush_denormal(True)
        return self.worker.step()

    def _row(self, here: Statistics, played: Mapping[int, int]) -> dict[str, Any]:
        """Describe the rollout that was just played; what no game ended in is None."""
        returns = [float(np.mean(r)) if r else None for r in here.recent]
        rollouts = self.server.rollouts
        roles = {
            role.name: _mean_of(returns[agents.start : agents.stop])
            for role, (_, agents) in zip(self.game.roles, self.population, strict=True)
        }
        return {
            "update": self._rollout,
            "episodes": self.statistics.total_episodes,
            "transitions": self.statistics.total_transitions,
            "seconds": time.perf_counter() - self._began,
            "episode_return": _mean_of(returns),
            "episode_length": here.mean_length if here.total_episodes else None,
            "agent_returns": returns,
            **({"role_returns": roles} if len(roles) > 1 else {}),
            "lag": [rollouts[agent] - played[agent] for agent in sorted(played)],
        }

    async def _send(self, here: Statistics) -> None:
        """Send each learning agent its fragments of the rollout that was just played."""
        started = slept = time.perf_counter()
        self.worker.cut()
        learning = self.server.learning()
        done: dict[int, NDArray[np.int64]] = {}
        for agent in learning:
            arrays = self.worker.arrays(agent)
            done[agent] = self._count_activities(arrays)
            self.server.send(agent, arrays, self.share)
            if time.perf_counter() - slept > YIELD_SECONDS:
                await asyncio.sleep(0)
                slept = time.perf_counter()
        self.worker.clear()
        self._look_at(done, here)
        if isinstance(self.worker.game, Remarks):
            for sentence in self.worker.game.remarks():
                self._events.remark(sentence)
        self._behind = None
        self._rollout += 1
        self._updates += not learning  # there is nothing to wait for
        self._joiner.times.transport += time.perf_counter() - started

    def _count_activities(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
        """Count what one agent did; its steps, where the game does not tell."""
        game = self.worker.game
        if isinstance(game, Activities):
            return game.count_activities(arrays["actions"], arrays["component_mask"])
        return np.array([len(arrays["actions"])])

    def _look_at(self, done: Mapping[int, NDArray[np.int64]], here: Statistics) -> None:
        """Compare the agents of each role by what they did in a rollout."""
        game = self.worker.game
        words = (game.activities, game.verb) if isinstance(game, Activities) else (["acted"], "")
        actions = np.zeros((self.population.size, len(words[0])), np.int64)
        for agent, counts in done.items():
            actions[agent] = counts
        for watch, (_, agents) in zip(self._watches, self.population, strict=True):
            mine = slice(agents.start, agents.stop)
            watch.add(Figures(actions[mine], here.recent[mine], *words, first=agents.start))

    @property
    def _outliers(self) -> list[Outlier]:
        return [outlier for watch in self._watches for outlier in watch.outliers]

    def _report(self) -> None:
        self._reported = time.perf_counter()
        seconds = self._reported - self._began
        remarks = self._remarks(self.server.learners())
        self._events.progress(
            Progress(
                self.statistics,
                self.share,
                seconds,
                self._updates,
                self._waited,
                remarks,
                self._cohorts,
                self._outliers,
            )
        )

    async def _keep_reporting(self) -> None:
        """Report also while the run waits; for ever."""
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            if time.perf_counter() - self._reported > REPORT_SECONDS:
                self._report()

    async def _finish(self) -> None:
        """Wait for what the learners still make of the last rollouts, and save it."""
        await self._until(self._all_learned)
        if not self._ending:
            self._note_point(self._next_to_act(), due=False)
        elif not self._failure:
            newest = self._points.newest
            longest = min(LAST_WORDS_SECONDS, max(0.0, STOP_SECONDS - self._write_seconds))
            await self._until(lambda: newest is None or newest.complete, longest)
        if self._stopping and not self._failure:  # the processors are for writing now
            await self.server.dismiss(self._stopping, failed=False)
        whole = self._points.complete
        if whole is not None:
            self.statistics = Statistics.from_dict(whole.statistics)
            await self._save(whole, final=True)

    def report(self) -> messages.Report:
        """Describe how the run is doing."""
        learners, free = self.server.learners(), self.server.lease_table.free
        newest, acting = self.repository.newest, self.repository.acting
        seconds = 0.0 if math.isnan(self._began) else time.perf_counter() - self._began
        return messages.Report(
            run=self.run_id,
            run_name=(self.config.run_name or self.run_id)[:200],
            share=self.share,
            episodes=self.statistics.total_episodes,
            transitions=self.statistics.total_transitions,
            seconds=seconds,
            transitions_per_second=self._pace(),
            lag=max((newest[agent] - acting[agent] for agent in acting), default=0),
            free=free,
            bad_messages=self.server.bad_messages.total(),
            learners=learners,
            remarks=[*self._remarks(learners), *sentences(self._outliers)],
        )

    def _remarks(self, learners: list[messages.LearnerReport]) -> list[str]:
        """Name what is gone or slow."""
        return diagnose(
            learners,
            self.server.lease_table.free,
            self._awaited(),
            waited=self._waited,
            lease_timeout=self.server.lease_table.lease_timeout,
        )

    @property
    def _waited(self) -> float:
        """Seconds for which the run has been waiting for learners."""
        return max(0.0, time.perf_counter() - self._waits_since)

    def _pace(self) -> float:
        """Agent-transitions a second, since the question before."""
        now, played = time.perf_counter(), self.statistics.total_transitions
        before, so_far = self._asked
        self._asked = now, played
        return max(0.0, (played - so_far) / max(now - before, 1e-9))

    # ---- what has been learned -----------------------------------------------------------

    def _note_learned(self, agent: int, state: AgentState, weights: messages.Weights) -> None:
        if state.version > 0:
            self._joiner.learned(agent, weights.metrics)
        if weights.diverged:
            self._note_divergence(agent, state, weights.diverged)
        if self._behind and state.version >= self._schedule.needed(self.server.rollouts[agent]):
            self._behind.discard(agent)
        self._points.arrived(agent, state)
        self._write_learned()
        self._write_noted()
        if not self._behind:
            self._wake()

    def _write_learned(self) -> None:
        """Write the metrics of rollouts from which nobody has yet to learn."""
        for row in self._joiner.complete(self.server.frozen):
            self._updates += 1
            self._write(self._events.metrics, row)

    def _note_divergence(self, agent: int, state: AgentState, why: str) -> None:
        """Tell of an update that was undone, and end the run where it is one too many."""
        self._events.diverged(agent, state.version, why)
        if state.rollbacks > self._max_rollbacks:
            self.fail(
                f"agent {agent} has diverged in {state.rollbacks} updates, the last being "
                f"{state.version}: {why}; --from begins another run, with a lower "
                "--learning-rate, and --max-rollbacks allows more"
            )

    def state(self) -> dict[str, Any]:
        """Return the simulator's own state between two rollouts, for a checkpoint."""
        return {
            "rollout": self._rollout,
            "frozen": sorted(self.server.frozen),
            **self.worker.state(),
        }

    def _next_to_act(self) -> dict[int, int]:
        """Versions that the next rollout would be played with."""
        versions = {}
        for agent, newest in self.repository.newest.items():
            version = self._schedule.played(self.server.rollouts[agent], newest)
            # Only one that was frozen when the run was saved may lack it.
            known = self.repository.state(agent, version) is not None
            versions[agent] = version if known else newest
        return versions

    def _note_point(self, acting: Mapping[int, int], *, due: bool = True) -> None:
        """Between two rollouts: note where the run is, for a checkpoint if that is due.

        What the learners make of all that was played until now may still be on its way. The
        checkpoint waits for it, and the run does not.
        """
        states = {agent: self.repository.state(agent, version) for agent, version in acting.items()}
        playing = {agent: state for agent, state in states.items() if state is not None}
        if self.config.sync == "async":  # a resumed run plays with the newest
            playing = {}
        point = ResumePoint(
            dict(self.server.rollouts), playing, self.statistics.to_dict(), self.state()
        )
        for agent in self.repository.newest:
            state = self.repository.state(agent)
            assert state is not None
            point.arrived(agent, state)
        point.take_as_final({agent: self.repository.state(agent) for agent in self.server.frozen})
        self._points.note(point)
        if due and self.statistics.total_episodes >= self._next_checkpoint and self._noted is None:
            interval = self.config.checkpoint_interval
            self._next_checkpoint = (self.statistics.total_episodes // interval + 1) * interval
            self._noted = point
            self._write_noted()

    def _all_learned(self) -> bool:
        newest, rollouts = self.repository.newest, self.server.rollouts
        return all(newest.get(agent, -1) >= rollouts[agent] for agent in self.server.learning())

    def _write_noted(self) -> None:
        """Begin to write the noted checkpoint, once it is complete."""
        idle = self._writing is None or self._writing.done()
        if self._noted is not None and self._noted.complete and idle and not self._ending:
            noted, self._noted = self._noted, None
            self._writing = asyncio.create_task(self._save(noted, final=False))

    async def _save(self, point: ResumePoint, *, final: bool) -> None:
        """Write a checkpoint of a complete point, in a thread: large ones take seconds."""
        content = self._checkpoint(point)
        started = time.perf_counter()
        await self._write(self._events.checkpoint, content, final)
        self._write_seconds = time.perf_counter() - started

    def _write(self, what: Callable[..., None], *content: Any) -> asyncio.Future[None]:
        """Let something be written in the writing thread, in its turn; if it cannot be, fail."""
        written = asyncio.get_running_loop().run_in_executor(self._writer, what, *content)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def note(future: asyncio.Future[None]) -> None:
            error = future.exception()
            if isinstance(error, NotWritten):
                self.fail(str(error))
            elif error is not None:
                self._crash = self._crash or error
                self.fail(f"{type(error).__name__} while something was written")
            if not done.done():
                done.set_result(None)

        written.add_done_callback(note)
        return done

    def _checkpoint(self, point: ResumePoint) -> Checkpoint:
        return Checkpoint(
            self.run_id,
            self.config,
            self.game,
            self.population,
            [point.states[agent] for agent in sorted(point.states)],
            point.statistics,
            point.simulator(),
        )


def _mean_of(values: Sequence[float | None]) -> float | None:
    """Mean of those that are known."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
