"""What a game must do to be trained on, and what it may do besides.

B games of one kind are played side by side, and each begins anew where it ends. A *lane* is one
seat of one game: lane ``b * A + a`` is seat a of game b, and L = B * A. A trainer knows lanes only.
What a lane sees and does has the shape of its seat's role; so that is one array for each role, with
a row for each of its lanes, in their order (:meth:`brigade.games.spec.GameSpec.lanes`).

What not every game can do is a capability, a protocol of its own below. A trainer asks for it with
``isinstance`` and does without it where it is missing; no capability is known by a game's name.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from brigade.games.spec import GameSpec


@dataclass(frozen=True)
class Playing:
    """Where games are played: how, and not what comes of it.

    Attributes
    ----------
    num_workers
        Processes that play them; 0 for the one that asks.
    timeout
        Seconds that a process may take for a step of its games.
    on_error
        What becomes of a game that fails in a process of its own: the run ends, or the games of
        that process begin anew.
    make
        What makes an environment, where its name alone does not.
    """

    num_workers: int = 0
    timeout: float = 60.0
    on_error: Literal["fail", "restart"] = "fail"
    make: Callable[..., Any] | None = None


HERE = Playing()


class GameFailed(Exception):
    """A game failed while it was played: one line that names it and says why."""

    @property
    def details(self) -> str:
        """The traceback of where it happened, as text of many lines."""
        return "".join(traceback.format_exception(self))


class Step(NamedTuple):
    """What one step of all games led to. The arrays may be overwritten by the next.

    Attributes
    ----------
    rewards
        float32 ``[L]``.
    terminated, truncated
        bool ``[L]``: the lane's part ended by the game's rules, or because it was cut.
    final_observations
        For each role float32 ``[L_r, F_r]``: what a lane saw last, where either is so. Other rows
        are stale.
    ended
        int64 ``[m]``: the games that ended, and have begun anew.
    returns
        float64 ``[m, A]``: each seat's undiscounted sum of rewards in those.
    lengths
        int32 ``[m]``: how long they took, by the game's own clock.
    cut
        bool ``[m]``: whether it was the limit on their length that ended them.
    final_pictures
        Of a game with :class:`Pictures`, for each role uint8 ``[L_r, P_r]``: those in what a lane
        saw last.
    """

    rewards: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    final_observations: Sequence[NDArray[np.float32]]
    ended: NDArray[np.int64]
    returns: NDArray[np.float64]
    lengths: NDArray[np.int32]
    cut: NDArray[np.bool_]
    final_pictures: Sequence[NDArray[np.uint8]] = ()


class VectorGame(Protocol):
    """B games side by side; see the head of this file."""

    @property
    def spec(self) -> GameSpec:
        """The game that is played."""

    @property
    def num_games(self) -> int:
        """How many of it, B."""

    @property
    def observations(self) -> Sequence[NDArray[np.float32]]:
        """What each lane sees now: for each role float32 ``[L_r, F_r]``.

        The next step may overwrite it.
        """

    def reset(self) -> None:
        """Begin all games.

        Raises
        ------
        GameFailed
            One cannot begin.
        """

    def step(self, actions: Sequence[NDArray[Any]]) -> Step:
        """Play one step of each game, and begin anew those that end.

        Parameters
        ----------
        actions
            For each role int32 ``[L_r, C]``, or float32 ``[L_r, D]`` where they are continuous:
            then -1 to 1 is the whole range of an entry that has one.

        Raises
        ------
        GameFailed
            One of them failed; none can be gone on with.
        """

    def close(self) -> None:
        """End all games."""


class DefaultOutcomes(NamedTuple):
    """A coming step, for each lane as if it alone took the default action."""

    rewards: NDArray[np.float32]  # [L, A]: what all seats of its game would get
    terminated: NDArray[np.bool_]  # [L]: whether the game would end by its rules
    changed: NDArray[np.bool_]  # [L]: whether the lane's own action changes what follows
    observations: NDArray[np.float32]  # [L, F]: what it would see, where changed; else 0


@runtime_checkable
class DefaultActions(Protocol):
    """It can tell what a default action in an action's place would lead to; it has one role."""

    def default_outcomes(self, actions: NDArray[np.int32]) -> DefaultOutcomes:
        """Look one step ahead of actions ``[L, C]``, which are not played."""


@runtime_checkable
class Pictures(Protocol):
    """What lanes see has pictures; then steps have ``final_pictures``."""

    @property
    def pictures(self) -> Sequence[NDArray[np.uint8]]:
        """Those that each lane sees now: for each role uint8 ``[L_r, P_r]``.

        One after another, each row by row with its channels together; P is 0 in a role that has
        none. The next step may overwrite it.
        """


@runtime_checkable
class Turns(Protocol):
    """Not every lane acts at each step: it waits for its turn, or is not part of the game.

    Then :meth:`VectorGame.step` reads the actions of active lanes only, and a reward may come while
    a lane waits.
    """

    def active(self) -> NDArray[np.bool_]:
        """Which lanes act in the coming step: bool ``[L]``."""


@runtime_checkable
class ComponentMasks(Protocol):
    """Some components of its actions have no effect now and then."""

    def component_mask(self, actions: Sequence[NDArray[Any]]) -> Sequence[NDArray[np.bool_]]:
        """Which components of coming actions would have one: for each role bool ``[L_r, C]``."""


@runtime_checkable
class ActionMasks(Protocol):
    """Not every choice is open to every lane of its ``masked`` roles at each step."""

    def action_masks(self) -> Sequence[NDArray[np.bool_]]:
        """Which choices are, one component after another: for each role bool ``[L_r, n]``.

        Of a lane that acts, each component has at least one.
        """


@runtime_checkable
class Timed(Protocol):
    """Not every step takes time, so not every step discounts what follows."""

    def takes_time(self) -> NDArray[np.bool_]:
        """Whether each lane's coming step does: bool ``[L]``."""


@runtime_checkable
class ExploringStarts(Protocol):
    """Its games can begin in a state that is drawn, however rarely play would lead to it."""

    def restart(self, game: int, generator: np.random.Generator) -> None:
        """Put a game that has just begun into such a state."""


@runtime_checkable
class Saves(Protocol):
    """Its games can be taken up again later, bit for bit; without it, they begin anew then."""

    def get_state(self) -> bytes:
        """All that decides how the games go on."""

    def set_state(self, state: bytes) -> None:
        """Go on from there.

        Raises
        ------
        ValueError
            It is not the state of games such as these.
        """


@runtime_checkable
class NumberedEpisodes(Protocol):
    """Its games cannot be taken up again later, but begin any episode as they would have then.

    What chance brings in an episode follows from its number, so a run that goes on plays none twice
    but those that were under way.
    """

    @property
    def episodes(self) -> NDArray[np.int64]:
        """The number of the episode under way in each game: int64 ``[B]``."""

    def begin(self, episodes: NDArray[np.int64]) -> None:
        """Begin these, one in each game; raises as :meth:`VectorGame.reset` does."""


@runtime_checkable
class Remarks(Protocol):
    """It may have something to say while it is played."""

    def remarks(self) -> Sequence[str]:
        """Give what is new, in sentences."""


@runtime_checkable
class Activities(Protocol):
    """It can say what agents do, so that one that does nothing is noticed."""

    @property
    def activities(self) -> Sequence[str]:
        """What there is to do, in words that follow an agent's name; first, doing nothing."""

    @property
    def verb(self) -> str:
        """What doing anything else is called, in a form for "it ..." and for "it has not ..."."""

    def count_activities(
        self, actions: NDArray[np.integer], component_mask: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """How often each was done in actions ``[n, C]``, of which those in the mask count."""
