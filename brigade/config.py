"""A run's settings: one frozen, validated structure for the command line, files and messages.

Each field's type says its range and its sentence of documentation; the command line, ``--config``
files, ``config.json`` and the welcome that a learner gets are all read through :func:`convert`.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from brigade.nearest import nearest
from brigade.values import ValueFault, flag, read_values

PositiveInt = Annotated[int, Meta(ge=1)]
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]

T = TypeVar("T")

MAX_NAME_BYTES = 255  # of a file or folder
DEFAULT_CHECKPOINT_DIR = "experiments/marl/checkpoints"


# Of a run's settings, those that a run which exists may be given anew.
CHANGEABLE = ("num_episodes", "num_transitions", "log_interval", "checkpoint_interval")
EARLIER_NAMES = {"random_starts": "exploring_starts", "normaliser_rate": "popart_rate"}
EARLIER_VALUES = {"advantages": {"counterfactual": "difference_rewards"}}
# What other commands call the same.
NAMES_ELSEWHERE = {"max_cycles": "max_nights", "max_nights": "max_cycles"}
# Those that do not decide what comes of it; the game does, and not what describes it here.
INDECISIVE = (
    *("scenario", "env", "env_arg", "roles", "env_fresh", "env_resize", "env_grey"),
    *("reward_weights", "run_name", "checkpoint_dir", "log_interval", "checkpoint_interval"),
)


class ConfigError(ValueError):
    """A setting is wrong: one line that names it, its value and the way out."""


class PPOConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an agent learns from its transitions."""

    hidden_size: Annotated[
        int, Meta(ge=1, description="width of the two hidden layers; 64 for an environment")
    ] = 512
    learning_rate: Annotated[float, Meta(gt=0, description="Adam's step size")] = 3e-4
    batch_size: Annotated[int, Meta(ge=2, description="transitions in a gradient batch")] = 256
    num_epochs: Annotated[int, Meta(ge=1, description="passes over each rollout")] = 4
    update_interval: Annotated[
        int, Meta(ge=1, description="gradient batches an agent takes between two versions")
    ] = 100
    gamma: Annotated[
        float, Meta(ge=0, le=1, description="discount from night to night, or from step to step")
    ] = 0.99
    gae_lambda: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="GAE's λ; small: an action's effect shows at once; 0.95 for an environment",
        ),
    ] = 0.5
    advantages: Annotated[
        Literal["difference_rewards", "gae"],
        Meta(
            description="judge an action against the default one, or by GAE alone; "
            "the former gives no credit for what others later make of what they saw, so signals "
            "are always judged by GAE, and so is all in an environment"
        ),
    ] = "difference_rewards"
    clip: Annotated[float, Meta(gt=0, description="PPO's bound on the probability ratio")] = 0.2
    value_coef: Annotated[float, Meta(ge=0, description="weight of the value loss")] = 0.5
    entropy_coef: Annotated[
        float, Meta(ge=0, description="weight of the bonus: entropy, and to a tenth a log barrier")
    ] = 0.01
    optimism: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="how much less what is worse than expected counts than what is better; 1: "
            "nothing. For partners who are paid alike, and must find what needs them both",
        ),
    ] = 0.0
    max_grad_norm: Annotated[float, Meta(gt=0, description="each agent's gradient bound")] = 0.5
    popart_rate: Annotated[
        float, Meta(gt=0, le=1, description="weight of a new rollout in PopArt's moments")
    ] = 0.1
    anneal: Annotated[
        bool,
        Meta(
            description="let learning rate, optimism and entropy bonus fall to 0, the bonus as a "
            "fifth power"
        ),
    ] = False
    squashed: Annotated[
        bool,
        Meta(description="continuous actions: squash them into their range by tanh, or clip them"),
    ] = False
    state_dependent_deviation: Annotated[
        bool,
        Meta(description="continuous actions: let how much they vary depend on the observation"),
    ] = False

    def __post_init__(self) -> None:
        for field in msgspec.structs.fields(self):
            value = getattr(self, field.name)
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, float) and not math.isfinite(part):
                    raise ConfigError(f"{flag(field.name)} {part} is not a finite number")

    @property
    def rollout_transitions(self) -> int:
        """Fresh transitions that an agent needs for one update."""
        return max(1, self.update_interval * self.batch_size // self.num_epochs)


class RunConfig(PPOConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that decides a run's result; the same in ``train``, ``sim`` and ``config.json``."""

    scenario: Annotated[str, Meta(description="scenario name, or path to a TOML or JSON file")] = (
        "trivial_cooperation"
    )
    env: Annotated[
        str | None,
        Meta(
            description="a PettingZoo environment in place of a scenario: module, module:function, "
            "file.py:function, or a name such as sisl/multiwalker-v9"
        ),
    ] = None
    env_arg: Annotated[
        dict[str, Any],
        Meta(description="an argument of the environment; may be given several times"),
    ] = {}
    roles: Annotated[
        dict[str, str | list[str]],
        Meta(
            description="agents of the environment that share a population, such as "
            "team=agent_0+agent_1 or team=agent_*; unless given, those of equal spaces and names"
        ),
    ] = {}
    env_fresh: Annotated[
        bool, Meta(description="make a new environment for each of its episodes")
    ] = False
    env_resize: Annotated[
        str | None,
        Meta(
            description="size of an environment's pictures: HEIGHTxWIDTH, or what a longer side is "
            "shrunk to; unless given, one over 96 to 84"
        ),
    ] = None
    env_grey: Annotated[
        bool, Meta(description="keep the luma of an environment's pictures, without colours")
    ] = False
    reward_weights: Annotated[
        list[float], Meta(description="what the parts of a vector of rewards are worth: 1,0.5")
    ] = []
    max_steps: Annotated[
        PositiveInt | None,
        Meta(
            description="games of an environment are cut after so many steps; unless given, never"
        ),
    ] = None
    population_size: Annotated[
        PositiveInt | dict[str, PositiveInt],
        Meta(
            description="agents in the population; where there are several roles, in each of them, "
            "or ROLE=N,ROLE=N"
        ),
    ] = 8
    self_play: Annotated[
        bool | None,
        Meta(
            description="whether an agent may have several seats of a game; unless given, where "
            "an environment has more seats than there are agents"
        ),
    ] = None
    num_games: Annotated[
        PositiveInt | None,
        Meta(
            description="games played side by side; 8 for each agent, and 64 at least; 16 of an "
            "environment"
        ),
    ] = None
    num_agents_per_game: Annotated[int, Meta(ge=1, description="seats in a game of a scenario")] = 4
    num_episodes: Annotated[int, Meta(ge=1, description="games to play in all")] = 10000
    num_transitions: Annotated[
        PositiveInt | None, Meta(description="stop after so many agent-transitions, if sooner")
    ] = None
    matchmaking: Annotated[
        Literal["round_robin", "random"],
        Meta(description="who plays: those with the fewest games so far, or anyone"),
    ] = "round_robin"
    sync: Annotated[
        Literal["lockstep", "overlap", "async"],
        Meta(description="play with the newest policies, with the ones before, or without waiting"),
    ] = "overlap"
    max_lag: Annotated[
        int, Meta(ge=1, description="async: rollouts that may await learning, per agent")
    ] = 4
    max_nights: Annotated[
        int, Meta(ge=1, description="training games of a scenario are cut after so many nights")
    ] = 50
    team_spirit: Annotated[
        float, Meta(ge=0, le=1, description="share of the match's mean in an agent's reward")
    ] = 0.0
    exploring_starts: Annotated[
        float, Meta(ge=0, lt=1, description="fraction of training games that start in any state")
    ] = 0.0
    on_learner_loss: Annotated[
        Literal["wait", "freeze", "fail"],
        Meta(description="an agent's learner is gone: wait for another, play on frozen, or end"),
    ] = "wait"
    seed: Annotated[Seed | None, Meta(description="decides the whole run; drawn if not given")] = (
        None
    )
    run_name: Annotated[
        str | None, Meta(description="folder of the run; {scenario}_pop{size}_{timestamp}")
    ] = None
    checkpoint_dir: Annotated[str, Meta(description="where the run's folder is made")] = (
        DEFAULT_CHECKPOINT_DIR
    )
    log_interval: Annotated[
        int,
        Meta(
            ge=1,
            description="episodes between two lines where there is no live view; unless given, "
            "10 s are between them, too",
        ),
    ] = 100
    checkpoint_interval: Annotated[
        int, Meta(ge=1, description="episodes between two checkpoints")
    ] = 1000

    @property
    def _is_whole(self) -> bool:
        """Whether nothing of this comes from elsewhere yet."""
        return True

    def __post_init__(self) -> None:
        super().__post_init__()
        own = self._is_whole and self.env is None and not self.self_play
        if own and self.num_agents < self.num_agents_per_game:
            raise ConfigError(
                "Population size must be >= num_agents_per_game: "
                f"--population-size {self.num_agents} is below "
                f"--num-agents-per-game {self.num_agents_per_game}"
            )
        if self.run_name is not None and not re.fullmatch(r"[\w.,=+-]+", self.run_name):
            raise ConfigError(
                f"--run-name {self.run_name!r} must consist of letters, digits and ._,=+-"
            )
        if self.run_name in (".", ".."):
            raise ConfigError(f"--run-name {self.run_name!r} is not a name for a folder")
        if self.run_name is not None and len(self.run_name.encode()) > MAX_NAME_BYTES:
            raise ConfigError(
                f"--run-name {self.run_name!r} has {len(self.run_name.encode())} bytes, and a "
                f"folder's name has at most {MAX_NAME_BYTES}"
            )
        try:
            self.scenario.encode()  # it is part of messages and files
        except UnicodeEncodeError:
            raise ConfigError(f"--scenario {self.scenario!r} must be UTF-8") from None
        _ = self.picture_size  # which is checked so

    @property
    def picture_size(self) -> tuple[int, ...]:
        """``env_resize`` as height and width, or the longer side alone; empty where not given."""
        if self.env_resize is None:
            return ()
        sides = self.env_resize.split("x")
        if len(sides) > 2 or not all(re.fullmatch("[1-9][0-9]{0,3}", side) for side in sides):
            raise ConfigError(
                f"--env-resize {self.env_resize!r} is not HEIGHTxWIDTH, such as 64x84, nor one "
                "side's length, such as 84; a side has 1 to 9999 pixels"
            )
        return tuple(map(int, sides))

    @property
    def num_agents(self) -> int:
        """Agents of all roles, P; where there are several, once ``population_size`` names them."""
        size = self.population_size
        return size if isinstance(size, int) else sum(size.values())

    @property
    def max_turns(self) -> int | None:
        """Turns by the game's own clock after which training games are cut; None for never."""
        return self.max_nights if self.env is None else self.max_steps

    @property
    def nameless(self) -> RunConfig:
        """The same run wherever its folder lies."""
        return msgspec.structs.replace(self, run_name=None, checkpoint_dir=DEFAULT_CHECKPOINT_DIR)

    def identity(self, scenario: Mapping[str, Any], begun_from: str = "") -> str:
        """Name of a run on the wire: the same for all that decides its result.

        Settings that have their default are left out, so that one that is new in a later version
        changes nothing.

        Parameters
        ----------
        scenario
            The game's parameters.
        begun_from
            Names what the agents are to begin with; empty where they are untrained.
        """
        defaults = RunConfig()
        decisive: dict[str, Any] = {
            name: getattr(self, name)
            for name in self.__struct_fields__
            if name not in INDECISIVE and getattr(self, name) != getattr(defaults, name)
        }
        content = msgspec.json.encode([decisive, dict(scenario), begun_from], order="sorted")
        return hashlib.sha256(content).hexdigest()[:16]

    def share(self, episodes: int, transitions: int) -> float:
        """Share of the run that is done, in [0, 1]."""
        share = episodes / self.num_episodes
        if self.num_transitions is not None:
            share = max(share, transitions / self.num_transitions)
        return min(share, 1.0)

    @property
    def games(self) -> int:
        """Games played side by side.

        An agent's weights are read once a step, for all its seats, so there should be many.
        """
        return self.num_games or max(64, 8 * self.num_agents)


def convert(kind: type[T], values: Mapping[str, Any]) -> T:
    """Build a config from plain values (from a file, a message or the command line).

    Raises
    ------
    ConfigError
        One line: the setting, its value, and what is allowed.
    """
    for name, value in values.items():
        if isinstance(value, str) and "\0" in value:
            raise ConfigError(f"{flag(name)} {value!r}: no text here has a NUL character")
    try:
        return msgspec.convert(read_values(values), kind, strict=False)
    except ValueFault as error:
        raise ConfigError(str(error)) from None
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(str(error), values, kind)) from None


def renamed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings that any version wrote, under their present names.

    Raises
    ------
    ConfigError
        One is there under both of its names.
    """
    for old, new in EARLIER_NAMES.items():
        if old in settings and new in settings:
            raise ConfigError(f"{old!r} is the earlier name of {new!r}: give one of them")
    found = {EARLIER_NAMES.get(name, name): value for name, value in settings.items()}
    for name, values in EARLIER_VALUES.items():
        if isinstance(found.get(name), str):
            found[name] = values.get(found[name], found[name])
    return found


def meant(name: str, known: Iterable[str]) -> str | None:
    """Return which of the known settings a name that is none of them most likely means."""
    known = list(known)
    now = EARLIER_NAMES.get(name) or NAMES_ELSEWHERE.get(name)
    return now if now in known else nearest(name, known)


def _explain(message: str, values: Mapping[str, Any], kind: type[Any]) -> str:
    """Turn msgspec's sentence into one that names the flag and its value."""
    at_field = re.fullmatch(r"(.*) - at `(?:key in )?\$\.(\w+)(?:\[.*)?`", message)
    if at_field:
        what, name = at_field.groups()
        what = what[0].lower() + what[1:].replace("`", "")
        if "matching regex" in what:
            what = "expected text without control characters"
        return f"{flag(name)} {values.get(name)!r}: {what}"
    unknown = re.fullmatch(r"Object contains unknown field `(.+)`", message, re.DOTALL)
    if unknown:
        name = unknown.group(1)
        internal = getattr(kind, "INTERNAL", ())
        fields = msgspec.structs.fields(kind)
        near = meant(name, [f.encode_name for f in fields if f.name not in internal])
        hint = f"did you mean {near!r}?" if near else "--help lists them"
        return f"{name!r} is not a setting; {hint}"
    return message
