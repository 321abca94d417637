"""The arrays that a batch writes."""

import numpy as np

from brigade._core import Batch


class Arrays:
    """A batch with arrays of its own, filled with what no step writes."""

    def __init__(self, scenario, num_envs, num_agents, max_cycles, seeds, num_threads=1):
        seeds = np.asarray(seeds, dtype=np.uint64)
        self.batch = Batch(scenario, num_envs, num_agents, max_cycles, seeds, num_threads)
        shape = (num_envs, num_agents, self.batch.num_features)
        self.observations = np.full(shape, np.nan, np.float32)
        self.rewards = np.full(shape[:2], np.nan, np.float32)
        self.terminated = np.ones(num_envs, np.bool_)
        self.truncated = np.ones(num_envs, np.bool_)
        self.final_observations = np.full(shape, -7, np.float32)
        self.returns = np.full(shape[:2], np.nan, np.float64)
        self.lengths = np.full(num_envs, -1, np.int32)

    @property
    def all(self):
        return (
            self.observations,
            self.rewards,
            self.terminated,
            self.truncated,
            self.final_observations,
            self.returns,
            self.lengths,
        )

    def step(self, actions):
        self.batch.step(actions, *self.all)
