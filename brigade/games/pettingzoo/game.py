"""One game of any kind: lives, seeds, returns, limits and errors; the subclasses play it.

A seat is *absent*, or *alive*; alive, it is *active* where it has to act now. Its part of an
episode begins when it comes to be alive and ends with a flag, so that it may have several in one
episode. An episode is over when nobody is alive, and the next one begins within the same step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from brigade.games.pettingzoo.actions import ChoiceActions
from brigade.games.pettingzoo.arrays import Arrays
from brigade.games.pettingzoo.description import close
from brigade.games.pettingzoo.errors import BadValue, EnvironmentRaised, InvalidData, in_words
from brigade.games.pettingzoo.finding import Maker, takes_seed
from brigade.games.pettingzoo.observations import MASK
from brigade.games.pettingzoo.oddities import Oddities, Oddity
from brigade.games.pettingzoo.rewards import LARGEST, scalar
from brigade.games.pettingzoo.roles import Seating
from brigade.seeds import Purpose, sequence

NUMBERS = {float, int, np.float64}
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """How games are played.

    Attributes
    ----------
    seed
        What every episode's own seed is derived from.
    max_steps
        Steps after which whoever is alive is truncated; of a turn-based game, turns.
    fresh
        Whether each episode has a newly made environment.
    reward_weights
        What the parts of a vector of rewards are worth.
    """

    seed: int = 0
    max_steps: int | None = None
    fresh: bool = False
    reward_weights: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Rows:
    """Where a game writes, one row for each seat.

    Attributes
    ----------
    observations
        float32 ``[F]``: what each sees, where it is active. Other rows are stale or 0.
    masks
        bool ``[num_choices]``: which choices it has, where it is active.
    finals
        float32 ``[F]``: what it saw last, where its part ended with the last step.
    pictures, final_pictures
        uint8 ``[P]``: the pictures in either.
    by_role
        The observations again, float32 ``[S, F]`` for each role.
    active, alive
        bool ``[A]``: who has to act now, and whose part goes on.
    episode
        int64 ``[1]``: the number of the episode under way, from which its seed follows.
    """

    observations: Sequence[NDArray[np.float32]]
    masks: Sequence[NDArray[np.bool_]]
    finals: Sequence[NDArray[np.float32]]
    pictures: Sequence[NDArray[np.uint8]]
    final_pictures: Sequence[NDArray[np.uint8]]
    by_role: Sequence[NDArray[np.float32]]
    active: NDArray[np.bool_]
    alive: NDArray[np.bool_]
    episode: NDArray[np.int64]

    @classmethod
    def of(cls, seating: Seating, arrays: Arrays | None = None, game: int = 0) -> Rows:
        """Take the rows of one game, or make rows for one."""
        if arrays is None:
            arrays = Arrays.of(seating, 1)
        places = seating.places

        def rows(of_roles: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
            return [of_roles[role][game, place] for role, place in places]

        return cls(
            rows(arrays.observations),
            rows(arrays.masks),
            rows(arrays.finals),
            rows(arrays.pictures),
            rows(arrays.final_pictures),
            [array[game] for array in arrays.observations],
            arrays.active[game],
            arrays.alive[game],
            arrays.episodes[game : game + 1],
        )


class Outcome(NamedTuple):
    """What one step of one game led to, for each of its A seats.

    Attributes
    ----------
    rewards
        float64 ``[A]``: what reached each seat with this step, active or not.
    terminated, truncated
        bool ``[A]``: its part ended by the game's rules, or was cut. Never both: what ended by the
        rules needs no bootstrap.
    ended
        Whether the episode is over. Then the game's rows and ``active`` are the next one's.
    cut
        Whether it was the limit on steps that ended it.
    returns
        float64 ``[A]``: sums of rewards of the episode so far.
    length
        Its steps so far.
    """

    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    ended: bool
    cut: bool
    returns: NDArray[np.float64]
    length: int


def episode_seed(seed: int, game: int, episode: int) -> int:
    """Derive an episode's own seed, of 31 bits, which every generator takes."""
    return int(sequence(seed, Purpose.GAMES, game, episode).generate_state(1, np.uint32)[0] >> 1)


class Game(ABC):
    """One game, which begins anew where it ends.

    Parameters
    ----------
    maker
        Of its environment.
    seating
        As :func:`brigade.games.pettingzoo.description.describe` gives it.
    settings
        How it is played.
    number
        Which of the games side by side it is.
    rows
        Where it writes.
    oddities
        Where it counts them; several games may share it.

    Attributes
    ----------
    active
        bool ``[A]``: who has to act now. There may be nobody, and then the step goes on without.

    Raises
    ------
    CannotFind
        The environment cannot be made.
    """

    def __init__(
        self,
        maker: Maker,
        seating: Seating,
        settings: Settings | None = None,
        *,
        number: int = 0,
        rows: Rows | None = None,
        oddities: Oddities | None = None,
    ) -> None:
        self.rows = rows or Rows.of(seating)
        self.oddities = oddities or Oddities()
        self._maker = maker
        self._seats = seating.seats
        self._settings = settings or Settings()
        self._number = number
        self._agents = [seat.agent for seat in self._seats]
        self._seat_of = {agent: index for index, agent in enumerate(self._agents)}
        self._decoders = [seat.actions.decode for seat in self._seats]
        # Who is in each role, and how and where their observations are written together.
        self._roles = [
            (role.seats, self._seats[role.seats[0]].observations, rows)
            for role, rows in zip(seating.roles, self.rows.by_role, strict=True)
        ]
        num_seats = len(self._seats)
        self.active = self.rows.active
        self._alive = self.rows.alive
        self._may_be_masked = [seating.roles[seat.role].masked for seat in self._seats]
        self._masked = [False] * num_seats
        for mask in self.rows.masks:
            mask[:] = True
        self._masks_in_observations = any(seat.observations.has_mask for seat in self._seats)
        self._new = True  # its environment has played no episode
        self._steps = 0
        self._returns = np.zeros(num_seats)
        self._rewards = np.zeros(num_seats)
        self._nobody = np.zeros(num_seats, np.bool_)
        self._terminated = self._truncated = self._nobody
        self._env = maker()
        self._takes_seed = takes_seed(self._env)

    def reset(self) -> None:
        """Begin the next episode, with a seed of its own.

        Raises
        ------
        EnvironmentRaised, InvalidData
            The environment fails, or returns something else than it should.
        """
        self.rows.episode[0] += 1
        self._steps = 0
        self._returns = np.zeros(len(self._seats))
        self._clear_step()
        self.active[:] = False
        self._alive[:] = False
        for row in self.rows.observations:
            row[:] = 0
        for picture in self.rows.pictures:
            picture[:] = 0
        if self._settings.fresh and not self._new:
            self._call(close, self._env)
            self._env = self._call(self._maker)
        self._new = False
        arguments = {}
        if self._takes_seed:
            episode = int(self.rows.episode[0])
            arguments["seed"] = episode_seed(self._settings.seed, self._number, episode)
        else:
            self._note(Oddity.NO_SEED)
        self._begin(arguments)
        if not self._anyone():
            raise self._invalid("nobody is in `agents` after reset")

    def step(self, actions: Sequence[Any]) -> Outcome:
        """Play one step: of all that are active, or of the one whose turn it is.

        Parameters
        ----------
        actions
            One for each seat: choices, integers ``[C]``, or float32 ``[D]`` where they are
            continuous. Those of seats that are not active are not read.

        Raises
        ------
        EnvironmentRaised, InvalidData
            The environment fails, or returns something else than it should.
        """
        self._play(actions)
        self._steps += 1
        limit = self._settings.max_steps
        cut = limit is not None and self._steps >= limit and self._anyone()
        if cut:
            self._cut()
        self._returns = self._returns + self._rewards
        ended = not self._anyone()
        outcome = Outcome(
            self._rewards,
            self._terminated,
            self._truncated,
            ended,
            cut,
            self._returns,
            self._steps,
        )
        if ended:
            self.reset()
        else:
            self._clear_step()
        return outcome

    def close(self) -> None:
        """Close the environment."""
        self._call(close, self._env)

    # ---- what the kinds of games do ------------------------------------------------------

    @abstractmethod
    def _begin(self, arguments: Mapping[str, Any]) -> None:
        """Reset the environment, and see who is there."""

    @abstractmethod
    def _play(self, actions: Sequence[Any]) -> None:
        """Hand over actions, and see what they led to."""

    @abstractmethod
    def _cut(self) -> None:
        """Truncate all that are alive."""

    # ---- what they do it with ------------------------------------------------------------

    def _observe(self, seat: int, observation: Any, info: Any) -> None:
        """Write what an active seat sees, and its mask."""
        self._write(seat, observation)
        self._read_mask(seat, observation, info)

    def _read_mask(self, seat: int, observation: Any, info: Any) -> None:
        """Write an active seat's mask, which the observation or the info may have."""
        own = self._seats[seat]
        if not isinstance(own.actions, ChoiceActions):
            return
        row = self.rows.masks[seat]
        try:
            mask = own.observations.mask(observation)
            if mask is None and isinstance(info, (dict, Mapping)):
                mask = info.get(MASK)
            if mask is not None:
                own.actions.read_mask(mask, row)
                own.actions.check_mask(row)
                if not self._may_be_masked[seat] and not row.all():
                    raise BadValue(
                        "an action mask, where neither the space nor the first infos had one: give "
                        "one from the first reset on, so that policies learn with masks"
                    )
            elif self._masked[seat]:
                row[:] = True
        except BadValue as error:
            raise self._invalid(str(error), own.agent) from None
        self._masked[seat] = mask is not None

    def _end(self, seat: int, terminated: bool, observation: Any) -> None:
        """End a seat's part with what it saw last."""
        if observation is None:
            self._note(Oddity.NO_FINAL_OBSERVATION, self._seats[seat].agent)
        else:
            self._write(seat, observation)
        self._end_here(seat, terminated)

    def _end_here(self, seat: int, terminated: bool) -> None:
        """End a seat's part with what it sees now."""
        latest, pictures = self.rows.observations[seat], self.rows.pictures[seat]
        self.rows.finals[seat][:] = latest
        self.rows.final_pictures[seat][:] = pictures
        latest[:] = 0
        pictures[:] = 0
        if self._terminated is self._nobody:
            self._terminated, self._truncated = self._nobody.copy(), self._nobody.copy()
        self._terminated[seat] = terminated
        self._truncated[seat] = not terminated
        self._alive[seat] = self.active[seat] = False

    def _add_reward(self, seat: int, reward: Any) -> None:
        """Add what has reached a seat."""
        kind = type(reward)
        if kind is not float:
            self._note(Oddity.REWARD_TYPE, self._agents[seat])
        plain = self._settings.reward_weights is None and kind in NUMBERS
        if plain and -LARGEST < reward < LARGEST:  # as NaN is not
            self._rewards[seat] += reward
            return
        try:
            self._rewards[seat] += scalar(reward, self._settings.reward_weights)
        except BadValue as error:
            raise self._invalid(str(error), self._seats[seat].agent) from None

    def _flag(self, flag: Any, agent: Hashable) -> bool:
        """Read a flag; a missing one is False."""
        if flag is True or flag is False:
            return bool(flag)
        if flag is None:
            return False
        self._note(Oddity.NUMPY_FLAG, agent)
        try:
            return bool(flag)
        except ValueError:  # of an array of several
            raise self._invalid(f"a flag of {flag}", agent) from None

    def _anyone(self) -> bool:
        """Whether anybody is alive."""
        return True in self._alive.tolist()  # of so few, faster than any()

    def _present(self) -> set[int]:
        """Seats of the agents that the environment has now."""
        return self._seats_of(self._call(agents_of, self._env))

    def _seats_of(self, agents: Sequence[Hashable]) -> set[int]:
        return {self._seat(agent) for agent in agents}

    def _seat(self, agent: Hashable) -> int:
        seat = self._seat_of.get(agent)
        if seat is None:
            raise self._invalid("an agent that is not among its possible_agents", agent)
        return seat

    def _decode(self, seat: int, action: Any) -> Any:
        return self._decoders[seat](action)

    def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the environment's code; of a turn-based game, about the agent whose turn it is."""
        try:
            return function(*args, **kwargs)
        except (Exception, SystemExit) as error:
            agent = self._about()
            raise EnvironmentRaised(
                in_words(error), self._maker.name, self._number, agent, self._steps
            ) from error

    def _about(self) -> Hashable | None:
        """Whose action or observation the environment's code is called for, if it is one's."""
        return None

    def _invalid(self, what: str, agent: Hashable | None = None) -> InvalidData:
        return InvalidData(what, self._maker.name, self._number, agent, self._steps)

    def _note(self, kind: Oddity, agent: Hashable | None = None, times: int = 1) -> None:
        if kind in self.oddities.first:
            self.oddities.counts[kind] += times
            return
        whose = "" if agent is None else f", agent {agent}"
        self.oddities.note(kind, f"game {self._number}, step {self._steps}{whose}", times)

    def _write(self, seat: int, observation: Any) -> None:
        own, rows = self._seats[seat], self.rows
        try:
            own.observations.write(observation, rows.observations[seat], rows.pictures[seat])
        except BadValue as error:
            raise self._invalid(str(error), own.agent) from None

    def _clear_step(self) -> None:
        # The arrays of an outcome are never written again.
        self._rewards = np.zeros(len(self._seats))
        self._terminated = self._truncated = self._nobody


def agents_of(env: Any) -> list[Hashable]:
    """Copy an environment's list of its agents."""
    return list(env.agents)


def attribute(env: Any, name: str, default: Any = None) -> Any:
    """Read what an environment has by a name; it may be computed, and fail."""
    return getattr(env, name, default)
