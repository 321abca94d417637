"""Environments whose agents come and go as a script says, parallel and turn-based.

A script has a text for each agent, whose letter t is what the agent is after step t (in the
turn-based one, after t turns): ``a`` there, ``t`` terminated, ``u`` truncated, ``.`` absent. After
step t every agent that is not absent is given ``rewards[agent][t]``, and sees its index and t.
"""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv

LIVES_OF_ONE = {"agent_0": "aat"}
BOX = spaces.Box(-np.inf, np.inf, (2,), np.float32)


class Script:
    def __init__(self, lives, rewards):
        self.lives, self.rewards = lives, rewards
        self.possible_agents = list(lives)
        self.length = min(len(life) for life in lives.values()) - 1
        self.buffers = {}
        self.seeds = []
        self.handed = []  # for each episode, what each agent was given
        self.received = []  # for each episode and step, whose actions came

    def begin(self, seed):
        self.seeds.append(seed)
        self.handed.append(dict.fromkeys(self.possible_agents, 0.0))
        self.received.append([])
        self.t = 0
        return self.who("a")

    def forget(self):
        for record in (self.seeds, self.handed, self.received):
            record.clear()

    def who(self, states):
        return [agent for agent, life in self.lives.items() if life[self.t] in states]

    def sees(self, agent):
        """One array for each agent, overwritten by the next step, as fast environments have it."""
        seen = self.buffers.setdefault(agent, np.zeros(2, np.float32))
        seen[:] = self.possible_agents.index(agent), self.t
        return seen

    def give(self):
        given = {agent: self.rewards[agent][self.t] for agent in self.who("atu")}
        for agent, reward in given.items():
            self.handed[-1][agent] += reward
        return given


class ParallelLives(Script):
    """Not a subclass of PettingZoo's."""

    def observation_space(self, agent):
        return BOX

    def action_space(self, agent):
        return spaces.Discrete(3)

    def reset(self, seed=None, options=None):
        self.agents = self.begin(seed)
        return {agent: self.sees(agent) for agent in self.agents}, {}

    def step(self, actions):
        assert self.agents, "stepped after the end"
        self.received[-1].append(sorted(actions, key=self.possible_agents.index))
        self.t += 1
        there = self.who("atu")
        terminated = {agent: self.lives[agent][self.t] == "t" for agent in there}
        truncated = {agent: self.lives[agent][self.t] == "u" for agent in there}
        self.agents = self.who("a")
        observations = {agent: self.sees(agent) for agent in there}
        return observations, self.give(), terminated, truncated, {agent: {} for agent in there}


class TurnLives(AECEnv):
    """With PettingZoo's own helpers for rewards and the dead."""

    def __init__(self, lives, rewards):
        self.script = Script(lives, rewards)
        self.possible_agents = self.script.possible_agents

    def observation_space(self, agent):
        return BOX

    def action_space(self, agent):
        return spaces.Discrete(3)

    def observe(self, agent):
        return self.script.sees(agent)

    def reset(self, seed=None, options=None):
        self._skip_agent_selection = None
        self.agents = []
        self.rewards, self._cumulative_rewards = {}, {}
        self.terminations, self.truncations, self.infos = {}, {}, {}
        for agent in self.script.begin(seed):
            self._arrive(agent)
        self.agent_selection = self.agents[0]

    def _arrive(self, agent):
        self.agents.append(agent)
        self.rewards[agent] = self._cumulative_rewards[agent] = 0.0
        self.terminations[agent] = self.truncations[agent] = False
        self.infos[agent] = {}

    def step(self, action):
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        script = self.script
        script.received[-1].append([agent])
        self._cumulative_rewards[agent] = 0.0
        script.t += 1
        for each in script.who("atu"):
            if each not in self.agents:
                self._arrive(each)
            self.terminations[each] = script.lives[each][script.t] == "t"
            self.truncations[each] = script.lives[each][script.t] == "u"
        self.rewards = dict.fromkeys(self.agents, 0.0) | script.give()
        self._accumulate_rewards()
        order = self.possible_agents
        after = order[order.index(agent) + 1 :] + order[: order.index(agent) + 1]
        self.agent_selection = next((each for each in after if each in script.who("a")), agent)
        self._deads_step_first()
