"""Environments whose calls are timed, or recorded, while they are played as any other."""

from __future__ import annotations

import random
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from hashlib import blake2b
from typing import Any

import numpy as np
from gymnasium import spaces

from brigade.games.pettingzoo.observations import MASK
from brigade.games.pettingzoo.words import why_outside

Clock = Callable[[], float]
Function = Callable[..., Any]
# What is there at one step: a digest of each part, such as ("agent_0", "reward").
Moment = dict[tuple[Hashable, str], bytes]

MOST_CHECKED = 200  # steps whose observations are held against their spaces


class Watched(ABC):
    """An environment, of which ``reset``, ``step`` and ``last`` are seen by us.

    Parameters
    ----------
    env
        Of either kind.
    """

    def __init__(self, env: Any) -> None:
        self._env = env
        for name in ("reset", "step", "last"):
            method = getattr(env, name, None)
            if callable(method):
                # With the signature of the environment's own.
                setattr(self, name, wraps(method)(self._wrap(name, method)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    @abstractmethod
    def _wrap(self, name: str, method: Function) -> Function:
        """Make a function to be called in the method's place."""


class Timed(Watched):
    """Measures the time that the environment itself takes.

    Attributes
    ----------
    seconds
        Within its own code so far, also where that computes an attribute.
    """

    def __init__(self, env: Any, clock: Clock) -> None:
        self.seconds = 0.0
        self._clock = clock
        super().__init__(env)

    def __getattr__(self, name: str) -> Any:
        start = self._clock()
        value = getattr(self._env, name)
        self.seconds += self._clock() - start
        return value

    def _wrap(self, name: str, method: Function) -> Function:
        clock = self._clock

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = clock()
            result = method(*args, **kwargs)
            self.seconds += clock() - start
            return result

        return timed


@dataclass
class Seen:
    """What was noticed of an environment while it was recorded.

    Attributes
    ----------
    generators
        By the name of each global random generator, the call that first changed its state.
    overwritten
        Agents whose observation was written over after it had been handed out.
    outside
        By agent, what was wrong with the first observation that its space does not contain.
    masked
        Agents that had a mask in their infos.
    arrivals
        How often an agent came after a reset.
    observation_bytes, steps
        Of all observations, in so many steps.
    """

    generators: dict[str, str] = field(default_factory=dict)
    overwritten: set[Hashable] = field(default_factory=set)
    outside: dict[Hashable, str] = field(default_factory=dict)
    masked: set[Hashable] = field(default_factory=set)
    arrivals: int = 0
    observation_bytes: int = 0
    steps: int = 0


class Recorded(Watched):
    """Records whole episodes, and notices what is unusual.

    Attributes
    ----------
    episodes
        The moments of each episode since it was last cleared: 0 is the reset. Of a turn-based
        environment each call of ``last`` is one.
    """

    def __init__(
        self, env: Any, observation_spaces: Mapping[Hashable, spaces.Space[Any]], seen: Seen
    ) -> None:
        self.episodes: list[list[Moment]] = []
        self._spaces = observation_spaces
        self._seen = seen
        self._handed_out: dict[Hashable, tuple[Any, bytes]] = {}  # each agent's latest
        self._present: set[Hashable] = set()
        super().__init__(env)

    def _wrap(self, name: str, method: Function) -> Function:
        def recorded(*args: Any, **kwargs: Any) -> Any:
            before = _global_states()
            result = method(*args, **kwargs)
            for generator, state in _global_states().items():
                if state != before[generator]:
                    self._seen.generators.setdefault(generator, name)
            self._note_overwritten()
            self._note_arrivals(name)
            if name == "reset":
                self.episodes.append([])
            self._record(name, result)
            return result

        return recorded

    def _record(self, name: str, result: Any) -> None:
        """Record what a method returned; what is no such thing is left to who plays."""
        if not isinstance(result, tuple):
            return
        moment: Moment = {}
        if name == "last" and len(result) == 5:
            agent = self._env.agent_selection
            for part, value in zip(_PARTS, result, strict=True):
                self._add(moment, agent, part, value)
        elif all(isinstance(part, Mapping) for part in result[:-1]):
            names = {2: ("observation", "info"), 5: _PARTS}.get(len(result), ())
            for part, values in zip(names, result, strict=False):
                if isinstance(values, Mapping):
                    for agent, value in values.items():
                        self._add(moment, agent, part, value)
        if moment:
            self.episodes[-1].append(moment)
            self._seen.steps += 1

    def _add(self, moment: Moment, agent: Hashable, part: str, value: Any) -> None:
        if part == "info":
            if not (isinstance(value, Mapping) and MASK in value):
                return
            self._seen.masked.add(agent)
            part, value = "mask", value[MASK]
        moment[agent, part] = digest(value)
        if part == "observation" and value is not None:
            self._handed_out[agent] = value, moment[agent, part]
            self._seen.observation_bytes += _num_bytes(value)
            if self._seen.steps < MOST_CHECKED:
                self._note_outside(agent, value)

    def _note_outside(self, agent: Hashable, observation: Any) -> None:
        space = self._spaces.get(agent)
        if space is None or agent in self._seen.outside:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Gymnasium's, of what is looked for here
            if not space.contains(observation):
                self._seen.outside[agent] = why_outside(space, observation)

    def _note_overwritten(self) -> None:
        for agent, (observation, before) in self._handed_out.items():
            if agent not in self._seen.overwritten and digest(observation) != before:
                self._seen.overwritten.add(agent)

    def _note_arrivals(self, name: str) -> None:
        present = set(getattr(self._env, "agents", None) or ())
        if name == "step":
            self._seen.arrivals += len(present - self._present)
        self._present = present


_PARTS = ("observation", "reward", "terminated flag", "truncated flag", "info")


@dataclass(frozen=True)
class Difference:
    """Where two episodes part.

    Attributes
    ----------
    step
        0 at reset.
    agent
        Whose.
    what
        Which part of what the environment gave it.
    """

    step: int
    agent: str
    what: str


def first_difference(one: list[Moment], other: list[Moment]) -> Difference | None:
    """Find where two episodes of the same seed and actions part, as far as both go."""
    for step, (here, there) in enumerate(zip(one, other, strict=False)):
        if here != there:
            parts = [key for key in {**here, **there} if here.get(key) != there.get(key)]
            agent, what = parts[0]
            return Difference(step, str(agent), what)
    return None


def digest(value: Any) -> bytes:
    """Digest a value exactly: types, shapes and bits, but not the order of a mapping."""
    state = blake2b(digest_size=16)
    for part in _flat(value):
        state.update(part)
    return state.digest()


def _flat(value: Any) -> Iterator[bytes]:
    if isinstance(value, Mapping):
        yield b"{"
        for key in sorted(value, key=str):
            yield str(key).encode(errors="replace")
            yield from _flat(value[key])
        yield b"}"
    elif isinstance(value, (list, tuple)):
        yield b"("
        for each in value:
            yield from _flat(each)
        yield b")"
    else:
        array = np.asarray(value)
        if array.dtype == object:
            yield repr(value).encode(errors="replace")
        else:
            yield f"{array.dtype.str}{array.shape}".encode()
            yield array.tobytes()


def _num_bytes(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(_num_bytes(each) for each in value.values())
    if isinstance(value, (list, tuple)):
        return sum(_num_bytes(each) for each in value)
    return int(np.asarray(value).nbytes)


def _global_states() -> dict[str, Any]:
    """The states of the generators that all code of a process shares."""
    shared = np.random.get_state(legacy=False)  # noqa: NPY002
    return {"random": random.getstate(), "numpy.random": digest(shared)}
