"""One game of a parallel environment: all that are alive act at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from brigade.games.pettingzoo.game import Game
from brigade.games.pettingzoo.oddities import Oddity


class ParallelGame(Game):
    """A game of ``reset() -> (observations, infos)`` and ``step(actions)``; see :class:`Game`."""

    def _begin(self, arguments: Mapping[str, Any]) -> None:
        self._was_here = np.zeros(len(self._seats), np.bool_)
        result = self._call(self._env.reset, **arguments)
        if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], Mapping)):
            raise self._invalid(f"reset returned {_shape(result)}, not (observations, infos)")
        observations, infos = result
        infos = self._checked_infos(infos)
        present = self._present()
        for seat, own in enumerate(self._seats):
            observation = observations.get(own.agent)
            if seat in present:
                self._live_on(seat, observation, infos.get(own.agent))
            elif observation is not None:
                self._note(Oddity.NOT_IN_AGENTS, own.agent)

    def _play(self, actions: Sequence[Any]) -> None:
        chosen = {
            own.agent: self._decode(seat, actions[seat])
            for seat, own in enumerate(self._seats)
            if self.active[seat]
        }
        result = self._call(self._env.step, chosen)
        if not (
            isinstance(result, tuple)
            and len(result) == 5
            and all(isinstance(part, Mapping) for part in result[:4])
        ):
            raise self._invalid(
                f"step returned {_shape(result)}, not (observations, rewards, terminations, "
                "truncations, infos)"
            )
        observations, rewards, terminations, truncations, infos = result
        infos = self._checked_infos(infos)
        present = self._present()
        for seat, own in enumerate(self._seats):
            agent = own.agent
            was_alive = bool(self._alive[seat])
            observation, flag = observations.get(agent), terminations.get(agent)
            terminated = self._flag(flag, agent)
            ended = self._flag(truncations.get(agent), agent) or terminated
            here = seat in present
            if was_alive and flag is None and here:
                self._note(Oddity.NO_FLAG, agent)
            if ended or not here:
                if was_alive:
                    if not ended:
                        self._note(Oddity.LEFT_WITHOUT_FLAG, agent)
                    self._end(seat, terminated, observation)
                elif observation is not None and not ended:
                    self._note(Oddity.NOT_IN_AGENTS, agent)
                if here:
                    self._note(Oddity.STAYED, agent)
            # An agent that ended and is still in `agents` is back only if it sees something.
            elif was_alive or observation is not None or not self._was_here[seat]:
                self._live_on(seat, observation, infos.get(agent))
            self._hand_over(seat, rewards.get(agent), was_alive)

    def _cut(self) -> None:
        for seat in self._alive.nonzero()[0].tolist():
            self._end_here(seat, terminated=False)

    def _live_on(self, seat: int, observation: Any, info: Any) -> None:
        """Go on with a seat that is alive, or begin its part."""
        self._alive[seat] = self._was_here[seat] = True
        self.active[seat] = observation is not None
        if observation is None:
            self._note(Oddity.UNSEEN, self._seats[seat].agent)
        else:
            self._observe(seat, observation, info)

    def _hand_over(self, seat: int, reward: Any, was_alive: bool) -> None:
        if reward is None:
            if was_alive:
                self._note(Oddity.NO_REWARD, self._seats[seat].agent)
            return
        before = self._rewards[seat]
        self._add_reward(seat, reward)
        if not (was_alive or self._alive[seat]) and self._rewards[seat] != before:
            self._note(Oddity.REWARD_WHILE_ABSENT, self._seats[seat].agent)

    def _checked_infos(self, infos: Any) -> Mapping[Any, Any]:
        if not isinstance(infos, Mapping):
            self._note(Oddity.NO_INFO)
            return {}
        for agent, info in infos.items():
            if info is None:
                self._note(Oddity.NO_INFO, agent)
        return infos


def _shape(result: Any) -> str:
    if isinstance(result, tuple):
        return f"({', '.join(type(part).__name__ for part in result)})"
    return type(result).__name__
