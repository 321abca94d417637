"""Small environments for runs in other processes: named by this file's path and a function."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
from gymnasium import spaces


class Lives:
    """Two roles: hares, of which one dies at step 2 and one comes at step 1, and a tortoise.

    The episode is over at step 4, for the tortoise by truncation. Rewards depend on the actions and
    on the seed.
    """

    possible_agents = ("hare_0", "hare_1", "tortoise_0")

    def observation_space(self, agent):
        if agent == "tortoise_0":
            return spaces.Box(-1, 1, (3,), np.float32)
        return spaces.Box(-np.inf, np.inf, (2,), np.float64)

    def action_space(self, agent):
        return spaces.Discrete(2 if agent == "tortoise_0" else 3)

    def reset(self, seed=None, options=None):
        self.generator = np.random.default_rng(seed)
        self.step_number = 0
        self.agents = ["hare_0", "tortoise_0"]
        return self.observe(self.agents), {}

    def observe(self, agents):
        drawn = self.generator.random(3)
        return {
            agent: drawn.astype(np.float32) if agent == "tortoise_0" else 100 * drawn[:2]
            for agent in agents
        }

    def step(self, actions):
        self.step_number += 1
        there = list(self.agents)
        if self.step_number == 1:
            there.append("hare_1")
        observations = self.observe(there)
        rewards = {agent: float(actions.get(agent, 0) * self.generator.random()) for agent in there}
        over = self.step_number == 4
        died = {agent: agent == "hare_0" and self.step_number == 2 for agent in there}
        terminated = {agent: died[agent] or (over and agent == "hare_1") for agent in there}
        truncated = {agent: over and agent == "tortoise_0" for agent in there}
        self.agents = [a for a in there if not terminated[a] and not truncated[a]]
        return observations, rewards, terminated, truncated, {}


class Reach:
    """One continuous action, as near to a target as can be, for so many steps."""

    possible_agents = ("hand_0", "hand_1")

    def __init__(self, steps=3):
        self.steps = steps

    def observation_space(self, agent):
        return spaces.Box(-2, 2, (1,), np.float32)

    def action_space(self, agent):
        return spaces.Box(-2, 2, (1,), np.float64)

    def reset(self, seed=None, options=None):
        self.generator = np.random.default_rng(seed)
        self.agents = list(self.possible_agents)
        self.step_number = 0
        return self.observe(), {agent: {} for agent in self.agents}

    def observe(self):
        self.target = self.generator.uniform(-2, 2)
        return {agent: np.array([self.target], np.float32) for agent in self.agents}

    def step(self, actions):
        self.step_number += 1
        rewards = {agent: -abs(float(actions[agent][0]) - self.target) for agent in self.agents}
        over = dict.fromkeys(self.agents, self.step_number >= self.steps)
        seen = self.observe()
        if self.step_number >= self.steps:
            self.agents = []
        return seen, rewards, over, dict.fromkeys(over, False), {}


class Bandit(Reach):
    """Episodes of one step, slow enough to be interrupted."""

    def __init__(self):
        super().__init__(steps=1)

    def step(self, actions):
        time.sleep(0.001)
        return super().step(actions)


class Masked(Reach):
    """Two choices, of which the first is closed; or both, in the step that is named."""

    def __init__(self, all_closed_at=-1):
        super().__init__(steps=4)
        self.all_closed_at = all_closed_at

    def action_space(self, agent):
        return spaces.Discrete(2)

    def masks(self):
        mask = np.array([0, self.step_number != self.all_closed_at], np.int8)
        return {agent: {"action_mask": mask} for agent in self.possible_agents}

    def reset(self, seed=None, options=None):
        return super().reset(seed)[0], self.masks()

    def step(self, actions):
        assert not any(action == 0 for action in actions.values()), "a closed choice"
        ours = {agent: [float(action)] for agent, action in actions.items()}
        return (*super().step(ours)[:4], self.masks())


class Broken(Reach):
    """It goes wrong after a step of each episode, or with 0 at reset.

    Parameters
    ----------
    how
        What it does.
    once
        A file that says that it has gone wrong; then it does not again.
    """

    def __init__(self, how, at=2, once=None):
        super().__init__(steps=4)
        self.how, self.at, self.once = how, at, once

    def reset(self, seed=None, options=None):
        found = super().reset(seed)
        return self.spoilt(found[0]) if self.how == "no_infos" else (self.spoilt(found[0]), {})

    def step(self, actions):
        found = super().step(actions)
        return (self.spoilt(found[0]), *found[1:])

    def spoilt(self, observations):
        if self.step_number != self.at or (self.once is not None and Path(self.once).exists()):
            return observations
        if self.once is not None:
            Path(self.once).touch()
        if self.how == "exit":
            sys.exit(0)
        if self.how.startswith("threads"):
            threading.Thread(target=time.sleep, args=(1000,)).start()
        if self.how in ("raise", "threads_raise"):
            raise RuntimeError("out of paper")
        if self.how == "hang":
            time.sleep(1000)
        if self.how == "die":
            os._exit(3)
        if self.how == "nan":
            observations["hand_1"] = np.array([np.nan], np.float32)
        if self.how == "shape":
            observations["hand_1"] = np.zeros((2, 3), np.float32)
        return observations
