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
from dataclasses import replace
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
from brigade.games.pettingzoo.findings import Check, Episodes, Rate, Repeat, RoleCheck
from brigade.games.pettingzoo.game import Settings
from brigade.games.pettingzoo.oddities import Oddities
from brigade.games.pettingzoo.side_by_side import SideBySide
from brigade.games.pettingzoo.watching import (
    Clock,
    Recorded,
    Seen,
    Timed,
    first_difference,
)
from brigade.games.pettingzoo.words import space_words
from brigade.games.vector import Step
from brigade.printable import printable
from brigade.seeds import Purpose, generator

ROLLOUT_TRANSITIONS = 2048  # of an agent, between two updates with an environment's defaults
GAMES = 4  # side by side, to measure their rate
RECORDING = 0.08  # share of the time for the episode that is to be repeated
REPEATING = 0.5  # for all that is compared


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
