"""What is known of an environment once it was played, and what follows from it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from brigade.games.pettingzoo.oddities import Oddity
from brigade.games.pettingzoo.watching import Difference

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
    if check.outside and check.failure is None:  # which it may be
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
