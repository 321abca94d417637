"""Bucket brigade as a trainer sees it: the rules' batched environment with every capability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from brigade._core import Scenario, num_features, observation_layout
from brigade.env.batched import BatchedEnv
from brigade.games.spec import Entities, GameSpec, Role
from brigade.games.vector import HERE, DefaultOutcomes, Playing, Step

KIND = "bucket_brigade"
LONGEST = 2**31 - 1  # nights
# Blocks of an observation that hold as many entries for each house, house by house.
HOUSE_BLOCKS = ("houses", "fire_progress", "workers")
# The same, but what a house is to the seat that looks.
OWN_BLOCKS = ("owned", "home")


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a game of this kind is built from."""

    num_seats: Annotated[int, Meta(ge=1, le=1 << 16)]
    scenario: dict[str, Any]


def describe(scenario: Scenario, num_seats: int) -> GameSpec:
    """Describe a scenario for games of so many seats.

    Raises
    ------
    ValueError
        It does not fit them.
    """
    features, nvec = num_features(scenario, num_seats), (scenario.num_houses, 2, 2)
    seat = observation_layout(scenario, num_seats)["seat"]
    entities = Entities(
        choices=house_columns(scenario, num_seats, HOUSE_BLOCKS),
        private=house_columns(scenario, num_seats, OWN_BLOCKS),
        seats=tuple(range(seat.start, seat.stop)),
        drawn=(scenario.num_houses + 1,),  # the logit of working
    )
    return GameSpec(
        KIND,
        scenario.name,
        {"num_seats": num_seats, "scenario": scenario.to_dict()},
        (Role("agent", tuple(range(num_seats)), features, nvec, entities, signals=(2,)),),
        steps_per_turn=2 if scenario.commitment_mode == "two_phase" else 1,
        turn="night",
    )


def from_arguments(name: str, arguments: Mapping[str, Any]) -> GameSpec:
    """Describe the game that a description's name and arguments are of.

    Raises
    ------
    ValueError
        They are of none.
    """
    found = msgspec.convert(dict(arguments), Arguments)
    try:
        scenario = Scenario(name=name, **found.scenario)
    except TypeError as error:
        raise ValueError(f"a scenario that is none: {error}") from None
    return describe(scenario, found.num_seats)


def scenario_of(spec: GameSpec) -> Scenario:
    """Give the scenario of a game of this kind.

    Raises
    ------
    ValueError
        It is of another.
    """
    if spec.kind != KIND:
        raise ValueError(f"{spec.name} is no game of bucket brigade")
    return Scenario(name=spec.name, **spec.arguments["scenario"])


def house_columns(
    scenario: Scenario, num_seats: int, names: Sequence[str]
) -> tuple[tuple[int, ...], ...]:
    """Where these blocks of an observation describe each house."""
    layout = observation_layout(scenario, num_seats)
    blocks = [layout[name] for name in names]
    widths = [(block.stop - block.start) // scenario.num_houses for block in blocks]
    return tuple(
        tuple(
            block.start + house * width + i
            for block, width in zip(blocks, widths, strict=True)
            for i in range(width)
        )
        for house in range(scenario.num_houses)
    )


def exploring_start(
    generator: np.random.Generator, num_houses: int, latest_night: int
) -> tuple[NDArray[np.int8], int]:
    """Draw a state with a fire in it, however rarely a good team sees it.

    Returns
    -------
    houses
        int8 ``[N]``: any number of ruined ones, and one to three that burn.
    night
        In ``[0, latest_night]``.
    """
    houses = np.zeros(num_houses, np.int8)
    order = generator.permutation(num_houses)
    ruined = int(generator.integers(num_houses))
    houses[order[:ruined]] = 2
    houses[order[ruined : ruined + int(generator.choice([1, 1, 1, 2, 2, 3]))]] = 1
    return houses, int(generator.integers(latest_night + 1))


class BucketBrigade:
    """Games of one scenario, side by side; see :mod:`brigade.games.vector` for the methods.

    Parameters
    ----------
    spec
        As :func:`describe` gives it.
    num_games
        How many, B.
    max_turns
        Nights after which a game is cut; None for never.
    seed
        What the games' own streams of draws are derived from.
    playing
        These are always played in this process.
    """

    def __init__(
        self,
        spec: GameSpec,
        num_games: int,
        max_turns: int | None,
        seed: int,
        playing: Playing = HERE,
    ) -> None:
        self._spec = spec
        scenario = scenario_of(spec)
        self._env = BatchedEnv(num_games, scenario, spec.num_seats, max_turns or LONGEST, seed)
        self._phase = observation_layout(scenario, spec.num_seats)["phase"].start
        self._num_lanes = num_games * spec.num_seats

    @property
    def spec(self) -> GameSpec:
        """The game that is played."""
        return self._spec

    @property
    def num_games(self) -> int:
        """How many, B."""
        return self._env.num_envs

    @property
    def observations(self) -> Sequence[NDArray[np.float32]]:
        """What each lane sees now, of the one role: float32 ``[L, F]``."""
        return (self._env.observations.reshape(self._num_lanes, -1),)

    def reset(self) -> None:
        """Begin all games."""
        self._env.reset()

    def step(self, actions: Sequence[NDArray[np.int32]]) -> Step:
        """Play a night, or its signal step, of each game with actions ``[L, 3]``."""
        env, num_seats = self._env, self._spec.num_seats
        env.step(self._by_game(actions[0]))
        ended = np.flatnonzero(env.terminated | env.truncated)
        return Step(
            rewards=env.rewards.ravel(),
            terminated=env.terminated.repeat(num_seats),
            truncated=env.truncated.repeat(num_seats),
            final_observations=(env.final_observations.reshape(self._num_lanes, -1),),
            ended=ended,
            returns=env.returns[ended],
            lengths=env.lengths[ended],
            cut=env.truncated[ended],
        )

    def close(self) -> None:
        """Nothing is left open."""

    def _by_game(self, actions: NDArray[np.int32]) -> NDArray[np.int32]:
        return actions.reshape(self.num_games, self._spec.num_seats, -1)

    # ---- capabilities --------------------------------------------------------------------

    def default_outcomes(self, actions: NDArray[np.int32]) -> DefaultOutcomes:
        """Look one step ahead, for each lane as if it rested at its home."""
        found, lanes = self._env.default_outcomes(self._by_game(actions)), self._num_lanes
        return DefaultOutcomes(
            found.rewards.reshape(lanes, -1),
            found.terminated.ravel(),
            found.changed.ravel(),
            found.observations.reshape(lanes, -1),
        )

    def component_mask(self, actions: Sequence[NDArray[np.int32]]) -> Sequence[NDArray[np.bool_]]:
        """Which components (house, mode, signal) would have an effect: bool ``[L, 3]``.

        Where a night's signals are given first, only the signal has one; and a resting agent's
        house puts out nothing and costs nothing.
        """
        (chosen,) = actions
        mask = np.ones(chosen.shape, np.bool_)
        night = self.takes_time()
        mask[:, 0] = night & (chosen[:, 1] == 1)
        mask[:, 1] = night
        return (mask,)

    def takes_time(self) -> NDArray[np.bool_]:
        """Whether the coming step is a night rather than its signal step: bool ``[L]``."""
        night: NDArray[np.bool_] = self.observations[0][:, self._phase] != 1
        return night

    def restart(self, game: int, generator: np.random.Generator) -> None:
        """Put a game that has just begun into a state with fires."""
        scenario = self._env.scenario
        latest = min(2 * scenario.min_nights, self._env.max_cycles - 1)
        self._env.place(game, *exploring_start(generator, scenario.num_houses, latest))

    def get_state(self) -> bytes:
        """All that decides how the games go on."""
        return self._env.get_state()

    def set_state(self, state: bytes) -> None:
        """Go on from there; ValueError where it is not the state of such games."""
        self._env.set_state(state)

    @property
    def activities(self) -> Sequence[str]:
        """What there is to do: rest, and work at each house."""
        houses = range(self._env.scenario.num_houses)
        return ["rested", *(f"worked at house {house}" for house in houses)]

    @property
    def verb(self) -> str:
        """What is not rest."""
        return "worked"

    def count_activities(
        self, actions: NDArray[np.integer], component_mask: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """How often one agent rested, and worked at each house: int64 ``[N + 1]``.

        A step whose mode does not count, in which signals are given, is left out.
        """
        house, mode = actions[:, 0].astype(np.int64), actions[:, 1]
        done = np.where(mode == 1, house + 1, 0)[component_mask[:, 1]]
        return np.bincount(done, minlength=self._env.scenario.num_houses + 1).astype(np.int64)
