"""Games of one matrix: both are paid what the matrix says, and see nothing.

Claus and Boutilier 1998, "The Dynamics of Reinforcement Learning in Cooperative Multiagent
Systems".
"""

import numpy as np
from gymnasium import spaces

CLIMBING = [[11, -30, 0], [-30, 7, 6], [0, 0, 5]]


class Matrix:
    """The same matrix so many times over, then the end."""

    possible_agents = ("row", "column")

    def __init__(self, payoffs, steps):
        self.payoffs, self.steps = payoffs, steps

    def observation_space(self, agent):
        return spaces.Discrete(1)

    def action_space(self, agent):
        return spaces.Discrete(len(self.payoffs))

    def all(self, value):
        return dict.fromkeys(self.possible_agents, value)

    def reset(self, seed=None, options=None):
        self.agents, self.t = list(self.possible_agents), 0
        return self.all(0), self.all({})

    def step(self, actions):
        self.t += 1
        reward = float(self.payoffs[actions["row"]][actions["column"]])
        ended = self.t == self.steps
        if ended:
            self.agents = []
        return self.all(0), self.all(reward), self.all(ended), self.all(False), self.all({})


def climbing(steps=1):
    """11 a step is the best; the safe answer to an unsure partner pays 5, and leads to 7."""
    return Matrix(CLIMBING, steps)


def penalty(k=-100, steps=1):
    """10 a step is the best, with two ways to it; mixing them up costs k, and 2 is safe."""
    return Matrix([[10, 0, k], [0, 2, 0], [k, 0, 10]], steps)


class TwoStep:
    """The first step of one decides which game the second is of: one pays 7, the other up to 8.

    Rashid et al. 2018, "QMIX: Monotonic Value Function Factorisation for Deep Multi-Agent
    Reinforcement Learning", section 5. Who sees its own number and the state.
    """

    possible_agents = ("agent_0", "agent_1")
    payoffs = (((7, 7), (7, 7)), ((0, 1), (1, 8)))
    space = spaces.MultiDiscrete([2, 3])

    def observation_space(self, agent):
        return self.space

    def action_space(self, agent):
        return spaces.Discrete(2)

    def all(self, value):
        return dict.fromkeys(self.possible_agents, value)

    def seen(self):
        return {f"agent_{n}": np.array([n, self.state]) for n in range(2)}

    def reset(self, seed=None, options=None):
        self.agents, self.state = list(self.possible_agents), 0
        return self.seen(), self.all({})

    def step(self, actions):
        ended = self.state > 0
        reward = 0.0
        if ended:
            reward = float(self.payoffs[self.state - 1][actions["agent_0"]][actions["agent_1"]])
            self.agents = []
        else:
            self.state = 1 + int(actions["agent_0"])
        return self.seen(), self.all(reward), self.all(ended), self.all(False), self.all({})
