"""The compiled core of brigade: the game, batches of games, and heuristic agents.

Letters in shapes: B games, A seats, N houses, F features of an observation. Whatever is refused
is refused with a ``ValueError`` whose text is a sentence; a call that is refused changes nothing.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self, SupportsIndex, TypeAlias, TypedDict, Unpack, final

import numpy as np
import numpy.typing as npt

__all__ = [
    "ARCHETYPES",
    "PARAMETER_FEATURES",
    "Batch",
    "Engine",
    "Heuristics",
    "Scenario",
    "__version__",
    "heuristic_actions",
    "named_scenario",
    "num_features",
    "observation_bounds",
    "observation_layout",
    "scenario_names",
]

__version__: str

ARCHETYPES: dict[str, list[float]]
"""Ten numbers in [0, 1] for each of firefighter, free_rider, hero, coordinator and liar."""

PARAMETER_FEATURES: tuple[str, ...]
"""The names of the entries of an observation's ``parameters`` block, in order."""

_Bools: TypeAlias = npt.NDArray[np.bool_]
_Float32: TypeAlias = npt.NDArray[np.float32]
_Float64: TypeAlias = npt.NDArray[np.float64]
_Int8: TypeAlias = npt.NDArray[np.int8]
_Int32: TypeAlias = npt.NDArray[np.int32]
_Integers: TypeAlias = npt.NDArray[np.integer[Any]]
_ExtinguishMode: TypeAlias = Literal["bernoulli", "continuous"]
_CommitmentMode: TypeAlias = Literal["simultaneous", "two_phase"]
_ActionValidityMode: TypeAlias = Literal["always_valid", "adjacent_only"]
_TeamWelfareKind: TypeAlias = Literal["none", "team_welfare_closed_form"]
_PerSeat: TypeAlias = float | Sequence[float]

class _Changes(TypedDict, total=False):
    num_houses: int
    min_nights: int
    prob_house_catches_fire: float
    prob_solo_agent_extinguishes_fire: float
    prob_fire_spreads_to_neighbor: float
    extinguish_mode: str
    suppression_per_worker: float
    commitment_mode: str
    action_validity_mode: str
    agent_home_positions: Sequence[int] | None
    cost_to_work_one_night: float
    distance_cost_alpha: float
    reward_rest: float
    reward_own_house_survives: _PerSeat
    reward_other_house_survives: _PerSeat
    penalty_own_house_burns: _PerSeat
    penalty_other_house_burns: _PerSeat
    team_reward_house_survives: float
    team_penalty_house_burns: float
    progress_shaping_coef: float
    action_shaping_alpha: float
    action_shaping_beta: float
    team_welfare_kind: str
    team_welfare_lambda: float
    team_welfare_gamma: float
    name: str
    description: str

@final
class Scenario:
    """Every parameter of a game, checked, and never changed.

    All parameters are keywords and have the defaults of the scenario "default". A name that is
    not known, a wrong type or a value out of range raises a ``ValueError`` that names the
    parameter, the value and what is allowed; truth values, NaN and infinities are no numbers.
    Lists with an entry per seat are held against the team's size when a game is made.

    Equality, hash and ``to_dict`` are of the parameters; ``name`` and ``description`` are labels.
    """

    PARAMETERS: ClassVar[tuple[str, ...]]
    """The names of all parameters, in order."""

    def __new__(
        cls,
        *,
        num_houses: int = 10,
        min_nights: int = 12,
        prob_house_catches_fire: float = 0.02,
        prob_solo_agent_extinguishes_fire: float = 0.5,
        prob_fire_spreads_to_neighbor: float = 0.25,
        extinguish_mode: str = "bernoulli",
        suppression_per_worker: float = 0.5,
        commitment_mode: str = "simultaneous",
        action_validity_mode: str = "always_valid",
        agent_home_positions: Sequence[int] | None = None,
        cost_to_work_one_night: float = 0.5,
        distance_cost_alpha: float = 0.0,
        reward_rest: float = 0.5,
        reward_own_house_survives: _PerSeat = 20.0,
        reward_other_house_survives: _PerSeat = 0.0,
        penalty_own_house_burns: _PerSeat = 40.0,
        penalty_other_house_burns: _PerSeat = 0.0,
        team_reward_house_survives: float = 100.0,
        team_penalty_house_burns: float = 100.0,
        progress_shaping_coef: float = 0.0,
        action_shaping_alpha: float = 0.0,
        action_shaping_beta: float = 0.0,
        team_welfare_kind: str = "none",
        team_welfare_lambda: float = 0.0,
        team_welfare_gamma: float = 1.0,
        name: str = "custom",
        description: str = "",
    ) -> Self: ...
    @property
    def name(self) -> str:
        """A label for people; "custom" where none was given."""
    @property
    def description(self) -> str:
        """A line for people."""
    @property
    def num_houses(self) -> int:
        """Houses on the ring."""
    @property
    def min_nights(self) -> int:
        """The game lasts at least one night more than this."""
    @property
    def prob_house_catches_fire(self) -> float:
        """Chance that a safe house catches fire in a night, and that a house burns at the start."""
    @property
    def prob_solo_agent_extinguishes_fire(self) -> float:
        """Chance that one worker puts a fire out ("bernoulli")."""
    @property
    def prob_fire_spreads_to_neighbor(self) -> float:
        """Chance that a fire spreads to a safe neighbour ("continuous")."""
    @property
    def extinguish_mode(self) -> _ExtinguishMode:
        """Whether a fire is put out or lost in one night, or worn down over several."""
    @property
    def suppression_per_worker(self) -> float:
        """Progress that one worker makes against a fire in a night ("continuous"); 1 ends it."""
    @property
    def commitment_mode(self) -> _CommitmentMode:
        """Whether seats give round-1 signals before they act."""
    @property
    def action_validity_mode(self) -> _ActionValidityMode:
        """Whether a seat reaches all houses, or only its home and those beside it."""
    @property
    def agent_home_positions(self) -> list[int] | None:
        """Home of each seat; without it seat a lives at house a % num_houses."""
    @property
    def cost_to_work_one_night(self) -> float:
        """Cost of working one night."""
    @property
    def distance_cost_alpha(self) -> float:
        """Cost of working, for each step along the ring from home."""
    @property
    def reward_rest(self) -> float:
        """Reward of resting one night."""
    @property
    def reward_own_house_survives(self) -> float | list[float]:
        """Reward of the owner when its house is saved from a fire; for all seats, or by seat."""
    @property
    def reward_other_house_survives(self) -> float | list[float]:
        """Reward of the others when a house is saved from a fire; for all seats, or by seat."""
    @property
    def penalty_own_house_burns(self) -> float | list[float]:
        """Penalty of the owner for each night of a ruined house; for all seats, or by seat."""
    @property
    def penalty_other_house_burns(self) -> float | list[float]:
        """Penalty of the others for each night of a ruined house; for all seats, or by seat."""
    @property
    def team_reward_house_survives(self) -> float:
        """Reward of all, times the share of houses that are safe."""
    @property
    def team_penalty_house_burns(self) -> float:
        """Penalty of all, times the share of houses that are ruined."""
    @property
    def progress_shaping_coef(self) -> float:
        """Reward of all for each house more that is safe than the night before."""
    @property
    def action_shaping_alpha(self) -> float:
        """Reward shared by the workers at a house that was saved."""
    @property
    def action_shaping_beta(self) -> float:
        """Reward of each worker at a house that was and stays safe."""
    @property
    def team_welfare_kind(self) -> _TeamWelfareKind:
        """Whether the team-welfare term is paid."""
    @property
    def team_welfare_lambda(self) -> float:
        """Weight of the team-welfare term."""
    @property
    def team_welfare_gamma(self) -> float:
        """Discount within the team-welfare term."""
    def replace(self, **changes: Unpack[_Changes]) -> Scenario:
        """Return the scenario with some parameters or labels changed.

        A scenario whose parameters change is named after it, "easy (changed)", unless a name is
        given.
        """
    def to_dict(self) -> dict[str, Any]:
        """Return all parameters by name, without the labels."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, Any]]: ...

def scenario_names() -> list[str]:
    """Return the names of the named scenarios, in the file's order."""

def named_scenario(name: str) -> Scenario:
    """Return the scenario of this name.

    Raises
    ------
    ValueError
        If the name is not known; the text lists the known ones and the nearest.
    """

def observation_layout(scenario: Scenario | str, num_agents: SupportsIndex) -> dict[str, slice]:
    """Return the slice of each block of a seat's observation by name, in order.

    ======================  ====  =======================================================
    houses                  3 N   one-hot, house by house: safe, burning, ruined
    fire_progress           N     progress against the fire, in [0, 1)
    workers                 N     share of the team that worked there last night
    owned                   N     1 where this seat owns the house
    home                    N     one-hot home of this seat
    seat                    A     one-hot number of this seat
    positions               A     house of each seat last night / (N - 1)
    signals                 A     signal of each seat last night
    last_modes              A     mode of each seat last night
    round1_signals          A     latest round-1 signal of each seat: in the signal step of a
                                  two-phase night that is the one of the night before
    phase                   1     1 where the next step is a two-phase game's signal step
    night                   2     night / (night + 100); min(night, min_nights) / min_nights
    parameters              24    ``Scenario.PARAMETERS`` without the homes: probabilities as
                                  they are, modes as 0 or 1, other numbers as x / (|x| + 100),
                                  lists as this seat's entry
    ======================  ====  =======================================================
    """

def num_features(scenario: Scenario | str, num_agents: SupportsIndex) -> int:
    """Return the length F of a seat's observation."""

def observation_bounds(
    scenario: Scenario | str, num_agents: SupportsIndex
) -> tuple[_Float32, _Float32]:
    """Return the least and the greatest value of each entry of an observation.

    Both are float32 [F] and finite: [0, 1] everywhere, [-1, 1] for parameters that can be
    negative.
    """

@final
class Engine:
    """One game of a scenario, played a night at a time.

    Two engines are equal when they would go on alike: same scenario, team, state and random
    stream. A copy or a pickled game goes on exactly where it was. A new engine stands before the
    first night of its seed's first game; arrays that it gives are fresh.
    """

    def __new__(
        cls, scenario: Scenario | str, num_agents: SupportsIndex, seed: SupportsIndex
    ) -> Self: ...
    def reset(self, seed: SupportsIndex | None = None) -> None:
        """Start a new game: on the running random stream, or on that of a seed."""
    def step(
        self,
        actions: _Integers | Sequence[Sequence[int]] | Sequence[_Integers],
        round1_signals: _Integers | Sequence[int] | None = None,
    ) -> tuple[_Float32, bool]:
        """Play a night.

        Parameters
        ----------
        actions
            Integers [A, 3], of any integer type: house, mode (0 rest, 1 work), signal.
        round1_signals
            Integers [A]: given in two-phase games, and only there.

        Returns
        -------
        tuple
            Every seat's reward, float32 [A], and whether the game is over.

        Raises
        ------
        ValueError
            If the game is over, or for a wrong type, a wrong shape, an entry out of range, or
            round-1 signals that are missing or superfluous. Nothing has been played then.
        """
    def get_state(self) -> bytes:
        """Return all that decides how the game goes on."""
    def set_state(self, state: bytes | bytearray) -> None:
        """Put the game where ``get_state`` was called.

        Raises
        ------
        ValueError
            If the bytes are no state of a game of this scenario and team.
        """
    @property
    def scenario(self) -> Scenario:
        """The game's scenario."""
    @property
    def num_agents(self) -> int:
        """The team's size."""
    @property
    def night(self) -> int:
        """Nights played since the reset."""
    @property
    def done(self) -> bool:
        """Whether the game is over."""
    @property
    def houses(self) -> _Int8:
        """State of each house: 0 safe, 1 burning, 2 ruined; int8 [N]."""
    @property
    def positions(self) -> _Int32:
        """House of each seat last night; int32 [A]."""
    @property
    def signals(self) -> _Int8:
        """Signal of each seat last night; int8 [A]."""
    @property
    def last_actions(self) -> _Int32:
        """House, mode and signal of each seat last night; int32 [A, 3]."""
    @property
    def round1_signals(self) -> _Int8:
        """Round-1 signal of each seat, 0 where there are none; int8 [A]."""
    @property
    def fire_progress(self) -> _Float32:
        """Progress against each house's fire, in [0, 1); float32 [N]."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]
    def __copy__(self) -> Engine: ...
    def __deepcopy__(self, memo: dict[int, Any]) -> Engine: ...
    def __getnewargs__(self) -> tuple[Scenario, int, int]: ...
    def __getstate__(self) -> bytes: ...
    def __setstate__(self, state: bytes) -> None: ...

@final
class Batch:
    """Many games of one scenario and team, each started anew as soon as it ends.

    Game b goes exactly as an ``Engine`` of its seed would, however many games and threads there
    are; after its end it goes on with its own random stream. A game also ends, truncated, after
    ``max_cycles`` nights. Two-phase games take two steps a night: a signal step, in which only
    the actions' signals count and rewards are 0, then the actions' own.

    Arrays are the caller's: C-contiguous, of exactly the type and shape given, written in place
    and not kept. The GIL is released while games are played, and one thread allocates nothing.
    """

    def __new__(
        cls,
        scenario: Scenario | str,
        num_envs: SupportsIndex,
        num_agents: SupportsIndex,
        max_cycles: SupportsIndex,
        seeds: npt.NDArray[np.uint64],
        num_threads: SupportsIndex | None = None,
    ) -> Self:
        """Start ``num_envs`` games, game b on the stream of ``seeds[b]``; seeds uint64 [B]."""
    def write_observations(self, out: _Float32) -> None:
        """Write what every seat sees now into ``out``, float32 [B, A, F]."""
    def reset(self, seeds: npt.NDArray[np.uint64] | None, observations: _Float32) -> None:
        """Start all games anew and write what every seat sees.

        Parameters
        ----------
        seeds
            uint64 [B]: each game starts the stream of its seed. None: each goes on with its own.
        observations
            Written; float32 [B, A, F].
        """
    def place(
        self,
        game: SupportsIndex,
        houses: _Int8,
        night: SupportsIndex,
        observations: _Float32,
    ) -> None:
        """Put a game into a state, everything else as after a reset; nothing is drawn.

        Parameters
        ----------
        game
            Its number, in [0, B).
        houses
            Read; int8 [N]: 0 safe, 1 burning, 2 ruined.
        night
            Nights played, below ``max_cycles``.
        observations
            Written; float32 [A, F]: what the game's seats see.

        Raises
        ------
        ValueError
            If there is no such game, state or night, the game would be over, or it is in the
            middle of a two-phase night.
        """
    def step(
        self,
        actions: _Int32,
        observations: _Float32,
        rewards: _Float32,
        terminated: _Bools,
        truncated: _Bools,
        final_observations: _Float32,
        returns: _Float64,
        lengths: _Int32,
    ) -> None:
        """Play one step of every game, and start those anew that it ends.

        Parameters
        ----------
        actions
            Read; int32 [B, A, 3]: house, mode, signal.
        observations
            Written; float32 [B, A, F]. Where a game ended: of the new game.
        rewards
            Written; float32 [B, A].
        terminated
            Written; bool [B]: the game ended by the rules.
        truncated
            Written; bool [B]: the game was cut off after ``max_cycles`` nights.
        final_observations
            Written where a game ended, and only there; float32 [B, A, F]: what followed its last
            night.
        returns
            Written; float64 [B, A]: sums of rewards of the game that was stepped, its totals
            where it ended.
        lengths
            Written; int32 [B]: nights of that game.

        Raises
        ------
        ValueError
            If an action is out of range (it names game, seat and value), an array does not fit,
            or two arrays share memory. Nothing has been played then.
        """
    def default_outcomes(
        self,
        actions: _Int32,
        rewards: _Float32,
        terminated: _Bools,
        changed: _Bools,
        observations: _Float32,
    ) -> None:
        """Try out the coming step for each seat as if that seat rested at its home.

        The others act as given, and no game is stepped. What happens to a house is decided by the
        draws that decide it in ``step``; where that draws nothing, by draws of another stream,
        derived from the game's generator state.

        Parameters
        ----------
        actions
            Read; int32 [B, A, 3]: house, mode, signal. In range, as for ``step``.
        rewards
            Written; float32 [B, A, A]: what every seat would get, for each that rests.
        terminated
            Written; bool [B, A]: whether the game would end by its rules.
        changed
            Written; bool [B, A]: whether the seat's action makes a difference to the houses or the
            game's end.
        observations
            Written where ``changed``; float32 [B, A, F]: what that seat would see.

        Raises
        ------
        ValueError
            As for ``step``.
        """
    def get_state(self) -> bytes:
        """Return all that decides how the games go on, and their running returns."""
    def set_state(self, state: bytes | bytearray) -> None:
        """Put the games where ``get_state`` was called; the number of threads may differ.

        Raises
        ------
        ValueError
            If the bytes are no state of so many games of this scenario and team.
        """
    @property
    def scenario(self) -> Scenario:
        """The games' scenario."""
    @property
    def num_envs(self) -> int:
        """How many games: B."""
    @property
    def num_agents(self) -> int:
        """The team's size: A."""
    @property
    def max_cycles(self) -> int:
        """Nights after which a game is truncated."""
    @property
    def num_threads(self) -> int:
        """The threads asked for."""
    @property
    def num_features(self) -> int:
        """The length of an observation: F."""
    @property
    def houses(self) -> _Int8:
        """State of each house: 0 safe, 1 burning, 2 ruined; int8 [B, N], a copy."""
    @property
    def nights(self) -> _Int32:
        """Nights played in each running game; int32 [B], a copy."""
    @property
    def phases(self) -> _Int8:
        """1 where the next step is a signal step; int8 [B], a copy."""

@final
class Heuristics:
    """Scripted agents for all seats of a scenario's games, which act from observations alone.

    What a seat does depends on its observation, its parameters and the agents' own random
    stream. Seats are known by the observation's ``seat`` block, so rows may stand in any order
    for the kinds without parameters. In the signal step of a two-phase night they draw as in any
    other, and draw anew in the step that counts.

    Parameters
    ----------
    scenario, num_agents
        What the observations are of.
    parameters
        For kind "archetype", and only there: ten numbers in [0, 1] for each seat, [A, 10], or
        [B, A, 10] where games differ. Four act: honesty 0, work tendency 1, own-house priority 3,
        rest bias 8.
    seed
        Of the random stream; 0 if not given.
    kind
        "archetype" (default); "spread": seat a works at burning house a % fires, in index order,
        and rests at its own where nothing burns; "random": every action alike.
    """

    def __new__(
        cls,
        scenario: Scenario | str,
        num_agents: SupportsIndex,
        parameters: npt.ArrayLike | None = None,
        seed: SupportsIndex | None = None,
        kind: str | None = None,
    ) -> Self: ...
    def act(self, observations: _Float32) -> _Int32:
        """Return the actions of all seats, int32 [B, A, 3], for observations float32 [B, A, F]."""
    def get_state(self) -> bytes:
        """Return the agents' random stream."""
    def set_state(self, state: bytes | bytearray) -> None:
        """Put the random stream where ``get_state`` was called."""

def heuristic_actions(
    scenario: Scenario | str,
    num_agents: SupportsIndex,
    parameters: npt.ArrayLike | None,
    observations: _Float32,
    seed: SupportsIndex,
    kind: str | None = None,
) -> _Int32:
    """Return the actions of agents that see these observations, as ``Heuristics`` would.

    Parameters
    ----------
    scenario, num_agents
        What the observations are of.
    parameters
        Ten numbers in [0, 1] for all rows, or [R, 10]; only used by kind "archetype".
    observations
        float32 [R, F], of any seats in any order.
    seed
        Decides all draws.
    kind
        As for ``Heuristics``.

    Returns
    -------
    numpy.ndarray
        int32 [R, 3].
    """
