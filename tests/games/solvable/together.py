"""Games of two that need each other: in two roles, and in turns."""

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv


class Words:
    """The speaker alone sees which of three things is meant; the listener hears its word, and acts.

    Both are paid 1 where the listener does what was meant. A game is a word and an answer.
    """

    possible_agents = ("speaker", "listener")
    hears = spaces.Discrete(4)  # 0 before the word

    def observation_space(self, agent):
        return spaces.Discrete(3) if agent == "speaker" else self.hears

    def action_space(self, agent):
        return spaces.Discrete(3)

    def all(self, value):
        return dict.fromkeys(self.possible_agents, value)

    def reset(self, seed=None, options=None):
        self.meant = int(np.random.default_rng(seed).integers(3))
        self.word = None
        self.agents = list(self.possible_agents)
        return {"speaker": self.meant, "listener": 0}, self.all({})

    def step(self, actions):
        ended, reward = self.word is not None, 0.0
        if ended:
            reward = float(actions["listener"] == self.meant)
            self.agents = []
        else:
            self.word = int(actions["speaker"])
        seen = {"speaker": self.meant, "listener": 1 + self.word}
        return seen, self.all(reward), self.all(ended), self.all(False), self.all({})


class Echo(AECEnv):
    """In turns: the first picks the colour it sees, the second picks what the first did.

    Who picked rightly is paid 1, but only when the other has had its turn, or the game is over. The
    best is 1 for each of the three rounds. Seen are whose turn it is and a colour.
    """

    metadata = {"name": "echo"}  # noqa: RUF012
    rounds = 3

    def __init__(self):
        self.possible_agents = ["agent_0", "agent_1"]

    def observation_space(self, agent):
        return spaces.MultiDiscrete([2, 3])

    def action_space(self, agent):
        return spaces.Discrete(3)

    def reset(self, seed=None, options=None):
        self.rng = np.random.default_rng(seed)
        self.agents = list(self.possible_agents)
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {agent: {} for agent in self.agents}
        self.owed = dict.fromkeys(self.agents, 0.0)
        self.agent_selection = "agent_0"
        self.turn = 0
        self.colour = int(self.rng.integers(3))

    def observe(self, agent):
        return np.array([self.possible_agents.index(agent), self.colour])

    def step(self, action):
        agent = self.agent_selection
        if self.terminations[agent]:
            return self._was_dead_step(action)
        other = self.possible_agents[1 - self.possible_agents.index(agent)]
        self._cumulative_rewards[agent] = 0.0
        right = float(action == self.colour)
        self.rewards = {agent: 0.0, other: self.owed[other]}
        self.owed = {agent: right, other: 0.0}
        self.turn += 1
        self.colour = int(action) if agent == "agent_0" else int(self.rng.integers(3))
        if self.turn == 2 * self.rounds:
            self.rewards[agent] += right
            self.terminations = dict.fromkeys(self.agents, True)
        self._accumulate_rewards()
        self.agent_selection = other
        return None
