"""What run a command means, and all that it leaves open filled in, before anything is started.

Imports no torch, unless the run begins with trained agents.
"""

from __future__ import annotations

import hashlib
import secrets
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from brigade._core import Scenario, num_features
from brigade.config import ConfigError, RunConfig, convert
from brigade.games.bucket_brigade import describe, scenario_of
from brigade.games.spec import GameSpec
from brigade.printable import printable
from brigade.run.options import RuntimeOptions, resumed
from brigade.run.process import without_windows
from brigade.run.team import check_shape, load_for, parse_source
from brigade.sim.matchmaking import population_sizes
from brigade.store.identity import Identity, read_identity
from brigade.values import flag

if TYPE_CHECKING:
    from brigade.store.checkpoint import Checkpoint

# Settings of scenarios alone, and what there is for environments.
OWN_GAME = {
    "scenario": "give one of them",
    "num_agents_per_game": "an environment says how many agents it has, --env-arg may change it",
    "exploring_starts": "its episodes begin as it says",
    "max_nights": "--max-steps cuts its games",
}
FOR_ENVIRONMENTS = (
    *("env_arg", "roles", "env_fresh", "env_resize", "env_grey", "reward_weights", "max_steps"),
    *("squashed", "state_dependent_deviation"),
)
LONGEST_LABEL = 150  # bytes of a scenario's name that a run's name has


@dataclass(frozen=True)
class Plan:
    """A run to begin, or to go on with.

    Attributes
    ----------
    config
        With seed, run name and number of games filled in.
    identity
        None for a run of an earlier version, whose checkpoints tell it.
    source
        What the agents begin with; None where they are untrained, or the run goes on.
    notes
        Sentences about the game that a person should read once.
    """

    config: RunConfig
    identity: Identity | None
    source: Checkpoint | None = None
    notes: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where the run lies, or will."""
        return Path(self.config.checkpoint_dir) / str(self.config.run_name)


def resolve(config: RuntimeOptions, make: Callable[..., Any] | None = None) -> Plan:
    """Find out which run is meant.

    Parameters
    ----------
    make
        What makes an environment, where its name, :func:`of_function`, alone does not.

    Raises
    ------
    ConfigError
        There is no such run or scenario, or settings do not fit together.
    CheckpointError
        ``--from`` names no checkpoint.
    """
    if config.env is not None:
        config = msgspec.structs.replace(config, env=wherever(config.env))
    if config.resume is not None:
        run = resumed(config)
        folder = Path(run.checkpoint_dir) / str(run.run_name)
        identity = read_identity(folder)
        named = None if identity is None else identity.game.code
        for code in (run.env, named) if make is None else ():
            check_code(f"run {folder}", code, config.env)
        if run.env is None and make is not None:
            raise ConfigError(f"run {folder} plays {run.scenario}: it goes on without env")
        if identity is None and not any(folder.glob("*.pt")):
            scenario = _scenario(run)  # an earlier version began it, and came to nothing
            game = describe(scenario, run.num_agents_per_game)
            identity = Identity(_name(run, game), game)
        return Plan(run, identity)
    begun_from, source = "", None
    notes: tuple[str, ...] = ()
    if config.from_ is not None:
        source = _source(config.from_, config.checkpoint_dir)
        if config.env is None and "scenario" not in config.given:
            check_code(f"--from {config.from_}", source.game.code, None)
    for name in FOR_ENVIRONMENTS if config.env is None else ():
        if name in config.given:
            raise ConfigError(f"{flag(name)} is for environments: name one with --env")
    if config.env is not None:
        run, game, notes = _on_environment(config, make)
        if source is not None:
            run = _with_agents_of(source, run, game, config)
    elif source is None:
        run = run_config(config)
        game = describe(_scenario(run), run.num_agents_per_game)
    else:
        if source.game.code is not None:
            raise ConfigError(
                f"--from {config.from_} was trained on {source.game.name}, and its agents play no "
                "scenario: give --env in place of --scenario"
            )
        run = _after(source, run_config(config), config)
        given = "scenario" in config.given
        scenario = _scenario(run) if given else _fitting(run, scenario_of(source.game))
        check_shape(f"--from {config.from_}", source, scenario, run.num_agents_per_game)
        game = describe(scenario, run.num_agents_per_game)
    if source is not None:
        begun_from = _digest(source)
    run = _filled_in(run, game)
    population_sizes(run, game)  # or an error
    return Plan(run, Identity(_name(run, game, begun_from), game, begun_from), source, notes)


def _name(run: RunConfig, game: GameSpec, begun_from: str = "") -> str:
    """Give a run's id on the wire."""
    arguments = game.arguments if run.env is not None else scenario_of(game).to_dict()
    return run.identity(arguments, begun_from)


# ---- environments of others ------------------------------------------------------------------


def wherever(env: str) -> str:
    """Give the name of an environment such that it is found from any folder."""
    place, colon, function = env.partition(":")
    return f"{Path(place).resolve()}{colon}{function}" if place.endswith(".py") else env


def of_function(make: Callable[..., Any]) -> str:
    """Give the name of an environment that is known as a function only, and that no text finds."""
    return f"<function {printable(getattr(make, '__name__', type(make).__name__))}>"


def check_code(what: str, code: str | None, env: str | None) -> None:
    """See that no code is run but what the command itself names, whatever a file says.

    Raises
    ------
    ConfigError
        A game is played by ``code``, and ``--env`` is not that.
    """
    if code is None or code == env:
        return
    if code.startswith("<"):
        raise ConfigError(
            f"{what} plays an environment that was given as a function, {printable(code)}, which "
            "Python alone can give again: brigade.train(resume=..., env=...)"
        )
    raise ConfigError(
        f"{what} plays the environment {printable(code)}, which is code that would be run: "
        f"give --env {shlex.quote(printable(code))} where you trust it"
    )


def _on_environment(
    config: RuntimeOptions, make: Callable[..., Any] | None
) -> tuple[RunConfig, GameSpec, tuple[str, ...]]:
    """Describe the environment, and take its defaults where nothing else was given."""
    assert config.env is not None
    for name, instead in OWN_GAME.items():
        if name in config.given:
            raise ConfigError(
                f"{flag(name)} is for scenarios, and --env {config.env} is none: {instead}"
            )
    from brigade.games.pettingzoo.finding import find
    from brigade.games.pettingzoo.pictures import Look
    from brigade.games.pettingzoo.vector_game import spec_of

    without_windows()
    game, notes = spec_of(
        find(make or config.env, config.env_arg),
        config.roles,
        fresh=config.env_fresh,
        reward_weights=config.reward_weights,
        look=Look(config.picture_size, config.env_grey),
    )
    run = run_config(config)
    defaults = {n: value for n, value in game.defaults.items() if n not in config.given}
    run = msgspec.structs.replace(run, num_agents_per_game=game.num_seats, **defaults)
    if run.team_spirit and len(game.roles) > 1:
        raise ConfigError(
            f"--team-spirit {run.team_spirit} would mix the rewards of the {len(game.roles)} roles "
            f"of {game.name}: leave it out"
        )
    if run.advantages == "difference_rewards":
        raise ConfigError(
            f"--advantages {run.advantages}: {game.name} tells of no default actions to compare "
            "with: leave it out"
        )
    sizes = population_sizes(run, game)
    if len(sizes) == 1:
        return msgspec.structs.replace(run, population_size=sizes[0]), game, notes
    named = {role.name: size for role, size in zip(game.roles, sizes, strict=True)}
    return msgspec.structs.replace(run, population_size=named), game, notes


def _with_agents_of(
    source: Checkpoint, run: RunConfig, game: GameSpec, config: RuntimeOptions
) -> RunConfig:
    """Let a run on an environment begin with the agents of a source, which must fit it."""
    from brigade.policy.build import fits

    theirs = source.population
    networks = list(theirs.networks)
    if len(networks) != len(game.roles) or not all(map(fits, networks, game.roles)):
        raise ConfigError(
            f"--from {config.from_} was trained on {source.game.name}, whose agents see or do "
            f"something else than those of {game.name}"
        )
    widths = {network.hidden_size for network in networks}
    size: int | dict[str, int] = theirs.sizes[0]
    if len(game.roles) > 1:
        size = {role.name: n for role, n in zip(game.roles, theirs.sizes, strict=True)}
    found = {"hidden_size": widths.pop(), "population_size": size}
    for name, value in found.items():
        if name in config.given and getattr(run, name) != value:
            raise ConfigError(
                f"{flag(name)} {getattr(run, name)}: --from {config.from_} has {value}"
            )
    return msgspec.structs.replace(run, **found)


def run_config(config: RunConfig) -> RunConfig:
    """Take only what decides the run, out of a command's config."""
    return RunConfig(**{name: getattr(config, name) for name in RunConfig.__struct_fields__})


def _scenario(run: RunConfig) -> Scenario:
    return load_for(run.scenario, run.num_agents_per_game)


def _fitting(run: RunConfig, scenario: Scenario) -> Scenario:
    """Give the scenario, having seen that it fits so many seats."""
    try:
        num_features(scenario, run.num_agents_per_game)
    except ValueError as error:
        raise ConfigError(f"--scenario {run.scenario}: {error}") from None
    return scenario


def _filled_in(run: RunConfig, game: GameSpec) -> RunConfig:
    """Fill in what was left open: seed, run name, number of games."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    named = game.name.rpartition("/")[2] if game.code else game.name  # not where the file lies
    label = "".join(c if c.isalnum() or c in "_-" else "-" for c in named.removesuffix(".py"))
    label = label.strip("-").encode()[:LONGEST_LABEL].decode(errors="ignore")  # no flag's name
    name = run.run_name or f"{label}_pop{run.num_agents}_{stamp}"
    seed = secrets.randbelow(2**31) if run.seed is None else run.seed
    return msgspec.structs.replace(run, run_name=name, seed=seed, num_games=run.games)


# ---- beginning with trained agents -----------------------------------------------------------


def _source(text: str, place: str) -> Checkpoint:
    """Load what ``--from`` names: a checkpoint or run, with some of its agents or all."""
    from brigade.policy.population import Population

    try:
        source = parse_source(text, place)
        saved = source.load(place)
        chosen = sorted(set(source.numbers(saved)))
    except ConfigError as error:
        raise ConfigError(f"--from {error}") from None
    sizes = [sum(agent in agents for agent in chosen) for _, agents in saved.population]
    if 0 in sizes:
        role = saved.game.roles[sizes.index(0)].name
        raise ConfigError(f"--from {text}: it names no agent of role {role}")
    population = Population(saved.population.networks, tuple(sizes))
    return replace(saved, agents=[saved.agents[agent] for agent in chosen], population=population)


def _after(source: Checkpoint, run: RunConfig, config: RuntimeOptions) -> RunConfig:
    """Take from a source what was not given, and refuse what contradicts it."""
    theirs = {
        "hidden_size": source.network.hidden_size,
        "population_size": len(source.agents),
        "num_agents_per_game": source.config.num_agents_per_game,
        "scenario": source.config.scenario,
    }
    for name in ("hidden_size", "population_size"):
        if name in config.given and getattr(run, name) != theirs[name]:
            raise ConfigError(
                f"{flag(name)} {getattr(run, name)}: --from {config.from_} has {theirs[name]}"
            )
    settings = {name: getattr(run, name) for name in run.__struct_fields__}
    return convert(RunConfig, settings | {n: v for n, v in theirs.items() if n not in config.given})


def _digest(source: Checkpoint) -> str:
    """Name what agents begin with."""
    found = hashlib.sha256()
    for state in source.agents:
        found.update(state.parameters.tobytes())
        found.update(state.statistics.tobytes())
    return found.hexdigest()[:16]
