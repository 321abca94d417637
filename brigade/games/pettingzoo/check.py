"""Whether an environment can be trained on, how fast it is, and what is unusual about it.

It is played with random actions by the code that plays it in training. One episode is recorded and
played again with the same seed and actions: by a fresh instance, by the first one once more after
others, and by a fresh one in turns with another. Each should repeat it exactly.
"""

from __future__ import annotations

import math
import traceback
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from brigade.games.pettingzoo.actions import ChoiceActions
from brigade.games.pettingzoo.description import Description, close, describe, space_of
from brigade.games.pettingzoo.errors import EnvironmentFault, in_words
from brigade.games.pettingzoo.finding import Maker
from brigade.games.pettingzoo.game import Settings
from brigade.games.pettingzoo.oddities import Oddities, Oddity
from brigade.games.pettingzoo.side_by_side import SideBySide
from brigade.games.pettingzoo.watching import (
    Clock,
    Difference,
    Recorded,
    Seen,
    Timed,
    first_difference,
)
from brigade.games.pettingzoo.words import space_words
from brigade.games.vector import Step
from brigade.printable import printable
from brigade.seeds import Purpose, generator

ROLLOUT_TRANSITIONS = 6400  # of an agent, between two updates with default settings
GAMES = 4  # side by side, to measure their rate
RECORDING = 0.08  # share of the time for the episode that is to be repeated
REPEATING = 0.5  # for all that is compared
MANY_STEPS = 1000  # of an episode that does not end


@dataclass(frozen=True)
class RoleCheck:
    """What the agents of a role see and do.

    Attributes
    ----------
    name, agents
        What it and they are called.
    observes, acts
        Their spaces in words.
    num_features
        Length of an observation as a row of float32.
    pictures
        Height, width and channels of each picture in it, as it is kept.
    masked
        Whether steps say which choices are open.
    """

    name: str
    agents: tuple[str, ...]
    observes: str
    num_features: int
    pictures: tuple[tuple[int, int, int], ...]
    acts: str
    masked: bool


@dataclass(frozen=True)
class Rate:
    """How fast it is played, without the time to choose actions.

    Attributes
    ----------
    alone, in_brigade
        Steps of one game a second: within the environment's own code, and all in all.
    ratio
        What part of the latter's time is the former's.
    num_games
        Games side by side.
    """

    alone: float
    in_brigade: float
    ratio: float
    num_games: int


@dataclass(frozen=True)
class Episodes:
    """How episodes went with random actions.

    Attributes
    ----------
    longest
        Steps (turns, of a turn-based environment) of the longest, also if it had not ended.
    ended
        How many ended.
    lengths
        The shortest, mean and longest of these.
    ends
        How many ended with every agent ``terminated``, every one ``truncated``, or ``mixed``.
    returns
        By role, the mean return of an agent.
    deaths
        Agents that ended before their episode did.
    arrivals
        Agents that came after the reset, in the episodes that were recorded.
    """

    longest: int
    ended: int
    lengths: tuple[int, float, int] | None
    ends: dict[str, int]
    returns: dict[str, float]
    deaths: int
    arrivals: int


@dataclass(frozen=True)
class Repeat:
    """An episode once more, with the same seed and actions.

    Attributes
    ----------
    how
        ``fresh``, ``reused`` or ``interleaved``.
    steps
        How many were compared.
    whole
        Whether it was a whole episode.
    difference
        Where it parted from the first, if it did.
    """

    how: str
    steps: int
    whole: bool
    difference: Difference | None


@dataclass(frozen=True)
class Finding:
    """Something that a person should know.

    Attributes
    ----------
    kind
        A word for it.
    sentence
        What it is, what follows, and the way out.
    harmless
        Whether training is none the worse for it.
    """

    kind: str
    sentence: str
    harmless: bool = False


@dataclass(frozen=True)
class Check:
    """All that was found out. What is None or empty was not come to, as ``failure`` says why.

    Attributes
    ----------
    name
        As a person typed it.
    title
        Of its own metadata, if there is one.
    turn_based
        Whether agents act one after another.
    notes
        Remarks on its agents.
    make_seconds
        What it takes to make one.
    roles
        Who plays.
    observation_bytes
        Of a step, as the environment gives them.
    rollout_bytes
        Of an agent's rollout as rows of float32 and of pictures' bytes, of the role that takes
        most.
    rate, episodes, repeats
        See there.
    seed_matters
        Whether another seed led to another episode; None if that is still open.
    generators
        By the name of each global random generator, the call that changed its state.
    overwritten, outside
        As in :class:`brigade.games.pettingzoo.watching.Seen`.
    oddities
        What is against PettingZoo's interface, how often, and where first.
    failure
        How it failed while it was played.
    """

    name: str
    title: str
    turn_based: bool
    notes: tuple[str, ...]
    make_seconds: float
    roles: tuple[RoleCheck, ...]
    observation_bytes: int = 0
    rollout_bytes: int = 0
    rate: Rate | None = None
    episodes: Episodes | None = None
    repeats: tuple[Repeat, ...] = ()
    seed_matters: bool | None = None
    generators: dict[str, str] = field(default_factory=dict)
    overwritten: tuple[str, ...] = ()
    outside: dict[str, str] = field(default_factory=dict)
    oddities: tuple[tuple[str, int, str], ...] = ()
    failure: str | None = None


# ---- what follows from it ------------------------------------------------------------------


def findings(check: Check) -> tuple[Finding, ...]:
    """Draw conclusions, the worst first."""
    return tuple(_findings(check))


def _findings(check: Check) -> Iterator[Finding]:
    if check.failure is not None:
        yield Finding("failure", f"It failed: {check.failure}.")
    yield from _on_repeating(check)
    if check.generators:
        used = " and ".join(f"{name} (in {call})" for name, call in check.generators.items())
        yield Finding(
            "global_generator",
            f"It uses a generator that all code shares, {used}: games in one process disturb each "
            "other's chance. Draw from a generator of its own, seeded in reset.",
        )
    if check.failure is None and check.episodes is not None and not check.episodes.ended:
        yield Finding(
            "endless",
            f"No episode ended in {check.episodes.longest:,} steps of random play: play it for "
            "longer (--seconds), or give it a limit, if it takes one (--env-arg).",
            harmless=check.episodes.longest < MANY_STEPS,
        )
    if check.outside:
        agent, what = next(iter(check.outside.items()))
        yield Finding(
            "outside",
            f"Observations are not of their space: {agent} got {what}. They are learned from as "
            "they are; correct the space.",
            harmless=True,
        )
    if check.overwritten:
        yield Finding(
            "overwritten",
            f"It writes over observations that it handed out ({_listed(check.overwritten)}). "
            "Brigade copies each as it arrives; code of your own must do so too.",
            harmless=True,
        )


def _on_repeating(check: Check) -> Iterator[Finding]:
    parted = {r.how: r.difference for r in check.repeats if r.difference is not None}
    if any(sentence == Oddity.NO_SEED.value for sentence, _, _ in check.oddities):
        yield Finding(
            "no_seed",
            "Its reset takes no seed: runs do not repeat. Let it take seed=None, and seed all "
            "chance with it.",
        )
    elif "fresh" in parted:
        first = parted["fresh"]
        if first.step == 0:
            said = f"reset does not repeat: with the same seed, {_what(first)} is another"
        else:
            said = f"With the same seed and actions, {_what(first)} is another at step {first.step}"
        yield Finding(
            "does_not_repeat",
            f"{said[0].upper()}{said[1:]}, in a fresh instance too. Its seed is ignored or does "
            "not decide all, so runs do not repeat: seed all chance in reset.",
        )
    elif "reused" in parted and check.seed_matters is False:
        yield Finding(
            "seed_ignored",
            "Its reset ignores the seed: each fresh instance plays the same episodes, and a reused "
            "one goes on in their order. Games side by side are all the same; seed in reset.",
        )
    elif "reused" in parted:
        first = parted["reused"]
        yield Finding(
            "reused",
            f"A reused instance does not repeat ({_what(first)}, step {first.step}): something "
            "outlives reset. --env-fresh makes one for each episode.",
        )
    elif "interleaved" in parted:
        first = parted["interleaved"]
        yield Finding(
            "interleaved",
            f"Two in one process disturb each other ({_what(first)}, step {first.step}): they "
            "share state. Give each a process: --env-workers, as many as games.",
        )


def _what(difference: Difference) -> str:
    return f"the {difference.what} of {difference.agent}"


def _listed(agents: Sequence[str]) -> str:
    return ", ".join(agents[:2]) + (f" and {len(agents) - 2} more" if len(agents) > 2 else "")


# ---- measuring -------------------------------------------------------------------------------


def check(
    maker: Maker,
    seconds: float = 10.0,
    reward_weights: tuple[float, ...] | None = None,
    clock: Clock = perf_counter,
) -> Check:
    """Play an environment, and tell what it is like.

    Parameters
    ----------
    maker
        Of the environment.
    seconds
        How long to play it, about. Making it, and a step that has begun, take what they take.
    reward_weights
        What the parts of a vector of rewards are worth.
    clock
        Seconds; what it raises ends the check.

    Raises
    ------
    CannotFind, UnsupportedSpace, BadRoles
        There is nothing to play.
    """
    return _Checker(maker, seconds, Settings(reward_weights=reward_weights), clock).check()


class _Checker:
    """Plays one environment, and closes all that it made at the end, as some close their like."""

    def __init__(self, maker: Maker, seconds: float, settings: Settings, clock: Clock) -> None:
        self._maker = maker
        self._description = describe(maker)
        self._settings = settings
        self._clock = clock
        self._seconds = seconds
        self._made: list[Any] = []
        self._seen = Seen()
        self._sides: list[SideBySide] = []
        self._tally = _Tally(self._description)

    def check(self) -> Check:
        failure = None
        repeats: list[Repeat] = []
        rate = seed_matters = None
        try:
            start = self._clock()
            first = self._make()
            make_seconds = self._clock() - start
            agents = [seat.agent for seat in self._description.seating.seats]
            name = self._maker.name
            sees = {agent: space_of(first, "observation_space", agent, name) for agent in agents}
            does = {agent: space_of(first, "action_space", agent, name) for agent in agents}
            title = _title(first)
            try:
                start = self._clock()
                for how, repeat in self._repeats(first, sees):
                    if how == "seed":
                        seed_matters = _seed_matters(repeat, repeats)
                    else:
                        repeats.append(repeat)
                rate = self._rate(make_seconds, start + self._seconds)
            except EnvironmentFault as fault:
                failure = _with_place(fault)
        finally:
            problem = self._close()
        return Check(
            self._maker.name,
            title,
            self._description.turn_based,
            self._description.notes,
            make_seconds,
            self._roles(sees, does),
            rate=rate,
            seed_matters=seed_matters,
            repeats=tuple(repeats),
            failure=failure or problem,
            **self._noticed(),
        )

    def _repeats(
        self, env: Any, sees: dict[Hashable, spaces.Space[Any]]
    ) -> Iterator[tuple[str, Repeat]]:
        """Record an episode, and compare others with it; ``seed`` is one of another seed."""
        deadline = self._clock() + REPEATING * self._seconds
        first = Recorded(env, sees, self._seen)
        steps = self._play(
            [first], self._clock() + RECORDING * self._seconds, until_end=True, tally=self._tally
        )
        episode = first.episodes[0]
        whole = len(first.episodes) > 1

        def repeat(how: str, other: Recorded) -> tuple[str, Repeat]:
            compared = min(len(episode), len(other.episodes[0])) - 1
            difference = first_difference(episode, other.episodes[0])
            complete = whole and len(other.episodes) > 1
            return how, Repeat(how, compared, complete, difference)

        fresh = Recorded(self._make(), sees, self._seen)
        self._play([fresh], deadline, steps)
        yield repeat("fresh", fresh)
        # Something else in between, other actions too, that is cut in the midst of an episode.
        other = replace(self._settings, seed=self._settings.seed + 1)
        self._play([first], deadline, math.ceil(0.7 * steps), settings=other)
        for _ in range(2):  # what outlives a reset may be in step with it by chance
            first.episodes.clear()
            self._play([first], deadline, steps)
            reused = repeat("reused", first)
            if reused[1].difference is not None:
                break
        yield reused
        pair = [Recorded(self._make(), sees, self._seen) for _ in range(2)]
        self._play(pair, deadline, steps)
        yield repeat("interleaved", pair[0])
        yield repeat("seed", pair[1])

    def _rate(self, make_seconds: float, deadline: float) -> Rate:
        num_games = GAMES if make_seconds < 0.01 * self._seconds else 1
        envs = [Timed(self._make(), self._clock) for _ in range(num_games)]
        before = self._clock()
        steps = self._play(
            envs,
            max(deadline, before + 0.1 * self._seconds),
            settings=replace(self._settings, seed=self._settings.seed + 2),
            tally=self._tally,
            alike=False,
        )
        alone = sum(env.seconds for env in envs)
        return Rate(
            steps * num_games / alone,
            steps * num_games / self._played_seconds,
            alone / self._played_seconds,
            num_games,
        )

    def _play(
        self,
        envs: Sequence[Any],
        deadline: float,
        max_steps: int | None = None,
        *,
        until_end: bool = False,
        settings: Settings | None = None,
        tally: _Tally | None = None,
        alike: bool = True,
    ) -> int:
        """Play environments side by side, with the same choices or not; returns steps of each."""
        settings = settings or self._settings
        instances = iter(envs)
        maker = Maker(self._maker.name, lambda: next(instances), {})
        side = SideBySide(maker, self._description, len(envs), settings)
        self._sides.append(side)
        numbers = [0] * len(envs) if alike else range(len(envs))
        chance = [generator(settings.seed, Purpose.ACTIONS, number) for number in numbers]
        if tally is not None:
            tally.begin(len(envs))
        steps = 0
        begun = self._clock()
        side.reset()
        self._played_seconds = self._clock() - begun
        while (max_steps is None or steps < max_steps) and (steps == 0 or self._clock() < deadline):
            actions = self._drawn(side, chance)
            start = self._clock()
            step = side.step(actions)
            self._played_seconds += self._clock() - start
            steps += 1
            if tally is not None:
                tally.add(step)
            if until_end and len(step.ended):
                break
        return steps

    def _drawn(self, side: SideBySide, chance: Sequence[np.random.Generator]) -> list[NDArray[Any]]:
        """Draw an action for each lane, as an array for each role."""
        seats = self._description.seating.seats
        drawn = []
        for role, masks in zip(side.roles, side.masks, strict=True):
            actions = seats[role.seats[0]].actions
            if isinstance(actions, ChoiceActions):
                scores = np.stack([each.random(masks.shape[1:]) for each in chance])
                scores[~masks] = -1
                ends = np.cumsum(actions.nvec)[:-1]
                parts = [part.argmax(-1) for part in np.split(scores, ends, axis=-1)]
                drawn.append(np.stack(parts, axis=-1))
            else:
                shape = (len(role.seats), int(np.prod(actions.shape)))
                rows = [each.uniform(-1, 1, shape).astype(np.float32) for each in chance]
                drawn.append(np.stack(rows))
        return drawn

    def _noticed(self) -> dict[str, Any]:
        """What was seen, as parts of a Check."""
        seen = self._seen
        oddities = Oddities()
        for side in self._sides:
            oddities.counts.update(side.oddities.counts)
            oddities.first = side.oddities.first | oddities.first
        float_bytes = np.dtype(np.float32).itemsize
        most = max(
            float_bytes * role.num_features + role.num_picture_bytes
            for role in self._description.seating.roles
        )
        return {
            "observation_bytes": round(seen.observation_bytes / max(1, seen.steps)),
            "rollout_bytes": ROLLOUT_TRANSITIONS * most,
            "episodes": self._tally.episodes(seen.arrivals),
            "generators": dict(seen.generators),
            "overwritten": tuple(map(str, seen.overwritten)),
            "outside": {str(agent): what for agent, what in seen.outside.items()},
            "oddities": tuple(
                (kind.value, count, oddities.first[kind]) for kind, count in oddities.counts.items()
            ),
        }

    def _roles(
        self, sees: dict[Hashable, spaces.Space[Any]], does: dict[Hashable, spaces.Space[Any]]
    ) -> tuple[RoleCheck, ...]:
        seats = self._description.seating.seats
        checks = []
        for role in self._description.seating.roles:
            agents = [seats[seat].agent for seat in role.seats]
            checks.append(
                RoleCheck(
                    role.name,
                    tuple(map(str, agents)),
                    space_words(sees[agents[0]]),
                    role.num_features,
                    role.pictures,
                    space_words(does[agents[0]]),
                    role.masked,
                )
            )
        return tuple(checks)

    def _make(self) -> Any:
        env = self._maker()
        self._made.append(env)
        return env

    def _close(self) -> str | None:
        """Close all; says what went wrong."""
        problem = None
        for env in self._made:
            try:
                close(env)
            except Exception as error:
                problem = f"{self._maker.name}, close: {in_words(error)}"
        return problem


def _seed_matters(other: Repeat, repeats: Sequence[Repeat]) -> bool | None:
    """Tell it from an episode of another seed; in part of one, chance may be still to come."""
    if other.difference is not None:
        return True
    parted = [r.difference for r in repeats if r.difference is not None]
    return False if other.whole or any(each.step == 0 for each in parted) else None


class _Tally:
    """Counts what came of episodes."""

    def __init__(self, description: Description) -> None:
        self._longest = 0
        self._steps = np.zeros(0, np.int64)  # of the episodes going on
        self._roles = description.seating.roles
        self._num_seats = len(description.seating.seats)
        self._lengths: list[int] = []
        self._returns: list[NDArray[np.float64]] = []
        self._ends: Counter[str] = Counter()
        self._deaths = 0
        self._flags: Counter[tuple[int, str]] = Counter()  # of the episodes going on, by game

    def begin(self, num_games: int) -> None:
        """Begin games anew."""
        self._flags.clear()
        self._steps = np.zeros(num_games, np.int64)

    def add(self, step: Step) -> None:
        """Count a step of several games."""
        self._steps += 1
        self._longest = max(self._longest, int(self._steps.max()))
        self._steps[step.ended] = 0
        for flags, name in ((step.terminated, "terminated"), (step.truncated, "truncated")):
            for lane in np.flatnonzero(flags).tolist():
                game = lane // self._num_seats
                self._flags[game, name] += 1
                self._deaths += game not in step.ended
        for game, returns in zip(step.ended.tolist(), step.returns, strict=True):
            kinds = [k for k in ("terminated", "truncated") if self._flags.pop((game, k), 0)]
            self._ends[kinds[0] if len(kinds) == 1 else "mixed"] += 1
            self._returns.append(returns)
        self._lengths += step.lengths.tolist()

    def episodes(self, arrivals: int) -> Episodes | None:
        """Sum up, if there is anything."""
        if not self._longest:
            return None
        lengths = None
        means: dict[str, float] = {}
        if self._lengths:
            lengths = (min(self._lengths), float(np.mean(self._lengths)), max(self._lengths))
            by_seat = np.mean(self._returns, axis=0)
            means = {role.name: float(by_seat[list(role.seats)].mean()) for role in self._roles}
        ended = len(self._lengths)
        return Episodes(
            self._longest, ended, lengths, dict(self._ends), means, self._deaths, arrivals
        )


def _title(env: Any) -> str:
    metadata = getattr(env, "metadata", None)
    name = metadata.get("name", "") if isinstance(metadata, dict) else ""
    return printable(name)


def _with_place(fault: EnvironmentFault) -> str:
    """Write a fault, and where in the environment's code an exception came from."""
    if fault.__cause__ is None:
        return str(fault)
    frames = traceback.extract_tb(fault.__cause__.__traceback__)
    if not frames:
        return str(fault)
    return printable(f"{fault} ({Path(frames[-1].filename).name}:{frames[-1].lineno})")
