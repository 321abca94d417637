"""One game of a turn-based environment (AEC): one agent acts, then the next.

Played as PettingZoo's own loop does, with ``last()`` for whoever's turn it is and ``step(None)``
for the dead, all of them within the step that ended them. Rewards are those of ``last()``: what
others' turns brought an agent reaches it when its own turn comes, or its end.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from brigade.games.pettingzoo.game import Game, attribute
from brigade.games.pettingzoo.oddities import Oddity


class TurnGame(Game):
    """A game of ``last()`` and ``step(action)``; see :class:`Game`."""

    _turn: Hashable | None = None

    def _begin(self, arguments: Mapping[str, Any]) -> None:
        self._turn = None
        self._call(self._env.reset, **arguments)
        self._next_turn()

    def _play(self, actions: Sequence[Any]) -> None:
        for seat in self.active.nonzero()[0].tolist():
            self._call(self._env.step, self._decode(seat, actions[seat]))
        self._next_turn()

    def _next_turn(self) -> None:
        """Step the dead with None until somebody that is alive has its turn, or nobody is left."""
        self.active[:] = False
        stuck: set[int] = set()
        # Each look at a wrapped environment's attributes takes its time.
        present = self._present()
        while present:
            self._turn = self._call(attribute, self._env, "agent_selection")
            seat = self._seat(self._turn)
            if seat in stuck:  # nobody else has a turn
                break
            observation, terminated, truncated, info = self._last(seat)
            if not (terminated or truncated):
                self._alive[seat] = self.active[seat] = True
                if observation is None:
                    raise self._invalid("no observation on its turn", self._turn)
                self._observe(seat, observation, info)
                break
            if self._alive[seat]:
                self._end(seat, terminated, observation)
            self._call(self._env.step, None)
            present = self._present()
            if seat in present and any(self._flags(self._turn, unknown=True)):
                stuck.add(seat)
                self._note(Oddity.STAYED, self._turn)
        self._turn = None
        somebody = True in self.active.tolist()
        self._see_who_is_there(present if somebody else set(), stuck)

    def _last(self, seat: int) -> tuple[Any, bool, bool, Any]:
        """Ask for what the agent on turn has got and sees, and add its reward."""
        result = self._call(self._env.last)
        if not (isinstance(result, tuple) and len(result) == 5):
            raise self._invalid(
                "last returned something else than (observation, reward, terminated, truncated, "
                "info)",
                self._turn,
            )
        observation, reward, terminated, truncated, info = result
        if info is None:
            self._note(Oddity.NO_INFO, self._turn)
        self._add_reward(seat, reward)
        return (
            observation,
            self._flag(terminated, self._turn),
            self._flag(truncated, self._turn),
            info,
        )

    def _see_who_is_there(self, present: set[int], stuck: set[int]) -> None:
        """Begin the parts of those that came, and end those of whom nothing more was heard."""
        alive = self._alive.tolist()
        for seat, own in enumerate(self._seats):
            if alive[seat]:
                if seat in present:
                    continue
                terminated, truncated = self._flags(own.agent)
                if not (terminated or truncated):
                    self._note(Oddity.LEFT_WITHOUT_FLAG, own.agent)
                self._add_owed(seat)
                self._end(seat, terminated, None)
            elif seat in present and seat not in stuck and not any(self._flags(own.agent)):
                self._alive[seat] = True

    def _flags(self, agent: Hashable | None, unknown: bool = False) -> tuple[bool, bool]:
        """Read both flags of an agent whose turn it is not; unknown ones are as given."""
        terminations = self._call(attribute, self._env, "terminations")
        truncations = self._call(attribute, self._env, "truncations") or {}
        if terminations is None:
            return unknown, False
        return bool(terminations.get(agent)), bool(truncations.get(agent))

    def _cut(self) -> None:
        for seat in self._alive.nonzero()[0].tolist():
            if self.active[seat]:  # it has just been asked
                self._end_here(seat, terminated=False)
            else:
                self._turn = self._seats[seat].agent
                self._add_owed(seat)
                self._end(seat, False, self._call(self._env.observe, self._turn))
        self._turn = None

    def _add_owed(self, seat: int) -> None:
        """Add what an agent would have been told on its next turn, which does not come."""
        owed = self._call(attribute, self._env, "_cumulative_rewards")
        if isinstance(owed, Mapping):
            self._add_reward(seat, owed.get(self._seats[seat].agent, 0.0))
        else:
            self._note(Oddity.NO_PENDING_REWARDS, self._seats[seat].agent)

    def _about(self) -> Hashable | None:
        if self._turn is not None:
            return self._turn
        active = self.active.nonzero()[0]
        return self._seats[int(active[0])].agent if len(active) else None
