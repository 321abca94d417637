"""What can be wrong with an environment, each one line for a person to read."""

from __future__ import annotations

from collections.abc import Hashable

from brigade.games.vector import GameFailed
from brigade.printable import printable


class EnvironmentUnusable(ValueError):
    """An environment cannot be trained on as it was asked for: one line that says why."""


class CannotFind(EnvironmentUnusable):
    """There is no such environment, or it cannot be made with these arguments."""


class UnsupportedSpace(EnvironmentUnusable):
    """A space that nothing here makes rows of."""


class BadRoles(EnvironmentUnusable):
    """Roles that do not fit the environment's agents."""


class BadValue(ValueError):
    """An observation, mask or reward that is not what it should be, without saying whose."""


class EnvironmentFault(GameFailed):
    """An environment failed while it was played.

    Attributes
    ----------
    environment
        What it is called.
    game
        Which of the games side by side.
    agent
        Whose action or observation it was about, if that is known.
    step
        Steps of the episode that were complete; 0 at reset.
    what
        What is wrong, without all that.
    """

    def __init__(
        self, what: str, environment: str, game: int, agent: Hashable | None, step: int
    ) -> None:
        self.what = what
        self.environment = environment
        self.game = game
        self.agent = agent
        self.step = step
        whose = "" if agent is None else f", agent {agent}"
        super().__init__(printable(f"{environment}, game {game}{whose}, step {step}: {what}"))
        self._details: str | None = None

    @property
    def details(self) -> str:
        """The traceback of where it happened, be that in another process, as text of many lines."""
        return self._details or super().details

    @details.setter
    def details(self, text: str) -> None:
        self._details = text


class EnvironmentRaised(EnvironmentFault):
    """The environment's own code raised an exception, which is the ``__cause__``."""


class InvalidData(EnvironmentFault):
    """The environment returned something that is not what its interface or spaces promise."""


class WorkerLost(EnvironmentFault):
    """A process that plays games ended by itself, or does not answer.

    Attributes
    ----------
    worker
        Which of the processes.
    games
        The numbers of its games; ``game`` is the first.
    """

    def __init__(self, how: str, environment: str, worker: int, games: range) -> None:
        super().__init__(how, environment, games[0], None, 0)
        self.worker = worker
        self.games = games
        which = f"game {games[0]}" if len(games) == 1 else f"games {games[0]} to {games[-1]}"
        self.args = (printable(f"{environment}, worker {worker} with {which}: {how}"),)


def in_words(exception: BaseException) -> str:
    """Write an exception on one line, as Python's last line of a traceback does."""
    text = str(exception).strip()
    return printable(f"{type(exception).__name__}: {text}" if text else type(exception).__name__)
