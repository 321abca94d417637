"""Games in which agents die, arrive, are cut, or find choices closed; each plays for itself."""

import numpy as np
from gymnasium import spaces


class Alone:
    """What the games below share: agents that do not notice each other."""

    def __init__(self, agents=2):
        self.possible_agents = [f"agent_{n}" for n in range(agents)]

    def observation_space(self, agent):
        return self.sees

    def action_space(self, agent):
        return self.does

    def reset(self, seed=None, options=None):
        self.rng = np.random.default_rng(seed)
        self.t = 0
        self.agents = self.begin()
        return {agent: self.seen(agent) for agent in self.agents}, {a: {} for a in self.agents}

    def step(self, actions):
        self.t += 1
        there = list(actions)
        rewards = {agent: float(self.act(agent, action)) for agent, action in actions.items()}
        died = {agent: self.is_dead(agent) for agent in there}
        cut = {agent: not died[agent] and self.is_cut() for agent in there}
        self.agents = [a for a in there if not (died[a] or cut[a])]
        self.agents += self.arrivals()
        told = {*there, *self.agents}
        return {a: self.seen(a) for a in told}, rewards, died, cut, {a: {} for a in told}

    def begin(self):
        return list(self.possible_agents)

    def is_dead(self, agent):
        return False

    def is_cut(self):
        return False

    def arrivals(self):
        return []


class Traps(Alone):
    """Three doors, of which one kills; in the fifth step the others do not pay, and it pays 2.

    So dying is right where nothing is left to live for: the best is 4 steps of 1, then 2.
    """

    sees = spaces.MultiDiscrete([3, 5])
    does = spaces.Discrete(3)
    best = 6.0

    def begin(self):
        self.dead = set()
        self.look()
        return super().begin()

    def look(self):
        self.traps = {agent: int(self.rng.integers(3)) for agent in self.possible_agents}

    def seen(self, agent):
        return np.array([self.traps[agent], min(self.t, 4)])

    def act(self, agent, action):
        if action == self.traps[agent]:
            self.dead.add(agent)
            return 2
        return self.t < 5

    def is_dead(self, agent):
        return agent in self.dead or self.t == 5

    def arrivals(self):
        self.look()
        return []


class Heap(Alone):
    """Take one, two or three off a heap of seven, for 1, 3 or 4, while there are so many.

    The mask closes what there is not, and a choice that never is one. The best is 3 three times,
    and 1; whoever takes three whenever it can gets 9.
    """

    sees = spaces.Dict({"observation": spaces.Discrete(8), "action_mask": spaces.MultiBinary(4)})
    does = spaces.Discrete(4)
    pays = (0, 1, 3, 4)

    def begin(self):
        self.left = dict.fromkeys(self.possible_agents, 7)
        return super().begin()

    def seen(self, agent):
        left = self.left[agent]
        mask = np.array([False, left >= 1, left >= 2, left >= 3])
        if not left:
            mask[0] = True
        return {"observation": left, "action_mask": mask.astype(np.int8)}

    def act(self, agent, action):
        assert 1 <= action <= self.left[agent], "a choice that was closed"
        self.left[agent] -= int(action)
        return self.pays[action]

    def is_dead(self, agent):
        return self.left[agent] == 0


class Crop(Alone):
    """Whoever waits twice harvests 4, whoever waits once 1; games are cut after each step.

    A game begins with a crop of any age, so what is right shows only where what follows the cut
    counts: at age 1, to wait. Seen are the ages 0, 1 and 2.
    """

    sees = spaces.Discrete(3)
    does = spaces.Discrete(2)
    pays = (0, 1, 4)

    def begin(self):
        self.ages = {agent: int(self.rng.integers(3)) for agent in self.possible_agents}
        return super().begin()

    def seen(self, agent):
        return self.ages[agent]

    def act(self, agent, harvests):
        age = self.ages[agent]
        self.ages[agent] = 0 if harvests else min(age + 1, 2)
        return self.pays[age] if harvests else 0

    def is_cut(self):
        return True


class Lamps(Alone):
    """Press the lamp that is lit, for 1. Who comes late, dies early or is cut, differs.

    The first is there from step 0 to the cut after step 4, the second dies with step 2, the third
    arrives after step 1: 4, 2 and 3 at best.
    """

    sees = spaces.Discrete(3)
    does = spaces.Discrete(3)
    best = (4.0, 2.0, 3.0)

    def __init__(self):
        super().__init__(3)

    def begin(self):
        self.look()
        return self.possible_agents[:2]

    def look(self):
        self.lit = {agent: int(self.rng.integers(3)) for agent in self.possible_agents}

    def seen(self, agent):
        return self.lit[agent]

    def act(self, agent, action):
        return action == self.lit[agent]

    def is_dead(self, agent):
        return agent == "agent_1" and self.t == 2

    def is_cut(self):
        return self.t == 4

    def arrivals(self):
        self.look()
        return ["agent_2"] if self.t == 1 else []


class Aim(Alone):
    """Put two numbers, in ranges that do not lie around 0, where they are seen: within 0 of them.

    A step costs the mean distance in halves of a range; so the best is 0.
    """

    sees = spaces.Box(-1, 1, (2,), np.float32)
    does = spaces.Box(np.array([0, -30], np.float32), np.array([10, -10], np.float32))

    def begin(self):
        self.look()
        return super().begin()

    def look(self):
        self.targets = {
            agent: self.rng.uniform(-0.8, 0.8, 2).astype(np.float32)
            for agent in self.possible_agents
        }

    def seen(self, agent):
        return self.targets[agent]

    def act(self, agent, action):
        assert self.does.contains(action)
        put = (action - self.does.low) / (self.does.high - self.does.low) * 2 - 1
        return -np.abs(put - self.targets[agent]).mean()

    def is_cut(self):
        return self.t == 5

    def arrivals(self):
        self.look()
        return []
