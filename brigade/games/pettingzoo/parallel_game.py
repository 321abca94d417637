"""One game of a parallel environment: all that are alive act at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from brigade.games.pettingzoo.game import Game, agents_of
from brigade.games.pettingzoo.oddities import Oddity
from brigade.games.pettingzoo.rewards import LARGEST

NO_MASK_TYPES = {dict, type(None)}  # of infos, if those are empty
REWARD_TYPES = {float, np.float64}  # which are finite or not, and nothing else


class ParallelGame(Game):
    """A game of ``reset() -> (observations, infos)`` and ``step(actions)``; see :class:`Game`.

    Most steps begin and end with all seats active, and then all of them are looked at together.
    Whenever anything is out of the ordinary, the seats are looked at one by one.
    """

    def _begin(self, arguments: Mapping[str, Any]) -> None:
        self._was_here = [False] * len(self._seats)
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
        self._all_active = all(self.active.tolist())

    def _play(self, actions: Sequence[Any]) -> None:
        chosen = {
            agent: decode(action)
            for agent, decode, action, active in zip(
                self._agents, self._decoders, actions, self.active.tolist(), strict=True
            )
            if active
        }
        result = self._call(self._env.step, chosen)
        if not (
            isinstance(result, tuple)
            and len(result) == 5
            and isinstance(result[0], (dict, Mapping))
            and isinstance(result[1], (dict, Mapping))
            and isinstance(result[2], (dict, Mapping))
            and isinstance(result[3], (dict, Mapping))
        ):
            raise self._invalid(
                f"step returned {_shape(result)}, not (observations, rewards, terminations, "
                "truncations, infos)"
            )
        observations, rewards, terminations, truncations, infos = result
        infos = self._checked_infos(infos)
        present = self._call(agents_of, self._env)
        if (
            self._all_active
            and present == self._agents
            and self._nobody_ends(terminations, truncations)
            and self._observe_all(observations, infos)
        ):
            if not self._hand_over_all(rewards):
                for seat, agent in enumerate(self._agents):
                    self._hand_over(seat, rewards.get(agent), was_alive=True)
            return
        self._one_by_one(self._seats_of(present), *result[:4], infos)
        self._all_active = all(self.active.tolist())

    def _nobody_ends(self, *flags: Mapping[Any, Any]) -> bool:
        """Whether all flags of all agents are Python's False."""
        given = [flag for each in flags for flag in map(each.get, self._agents)]
        return {*map(type, given)} == {bool} and True not in given

    def _observe_all(self, observations: Mapping[Any, Any], infos: Mapping[Any, Any]) -> bool:
        """Write what all see, if all see something."""
        seen = [*map(observations.get, self._agents)]
        if type(None) in {*map(type, seen)}:
            return False
        for members, writer, rows in self._roles:
            if not writer.write_all([seen[seat] for seat in members], rows):
                for seat in members:
                    self._write(seat, seen[seat])
        told = [*map(infos.get, self._agents)]
        if (
            self._masks_in_observations
            or True in self._masked
            or not {*map(type, told)} <= NO_MASK_TYPES
            or any(told)
        ):
            for seat, observation in enumerate(seen):
                self._read_mask(seat, observation, told[seat])
        return True

    def _hand_over_all(self, rewards: Mapping[Any, Any]) -> bool:
        """Add all rewards, if they are numbers that are not too large."""
        given: list[Any] = [*map(rewards.get, self._agents)]
        types = {*map(type, given)}
        if self._settings.reward_weights is not None or not types <= REWARD_TYPES:
            return False
        if not sum(map(abs, given)) < LARGEST:  # nor is it where one is NaN
            return False
        if np.float64 in types:
            odd = [agent for agent in self._agents if type(rewards.get(agent)) is not float]
            self._note(Oddity.REWARD_TYPE, odd[0], len(odd))
        self._rewards = np.array(given)
        return True

    def _one_by_one(
        self,
        present: set[int],
        observations: Mapping[Any, Any],
        rewards: Mapping[Any, Any],
        terminations: Mapping[Any, Any],
        truncations: Mapping[Any, Any],
        infos: Mapping[Any, Any],
    ) -> None:
        """Go through the seats, of which some come, end, see nothing, or have odd flags."""
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
        if not isinstance(infos, (dict, Mapping)):
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
