"""Training on a game as ``brigade train --sync lockstep`` does it, in one process."""

from dataclasses import dataclass

import numpy as np
import torch

from brigade.config import convert
from brigade.games.vector import VectorGame
from brigade.ppo.agents import initial_state
from brigade.ppo.parallel import GroupedUpdater
from brigade.ppo.rollout import Rollout
from brigade.run.env_players import Act, acting
from brigade.run.evaluate_env import Played, play_episodes
from brigade.run.options import RuntimeOptions
from brigade.run.resolve import resolve
from brigade.sim.matchmaking import Matchmaker
from brigade.sim.preparation import games_of, population_of
from brigade.sim.repository import Repository
from brigade.sim.rollout_worker import RolloutWorker


@dataclass
class Trained:
    """A population that learns, and games to see what it has learned."""

    game: VectorGame  # apart from those that are learned from
    repository: Repository
    transitions: int

    def act(self, *, greedily=True) -> Act:
        networks, rows = self.repository.population.networks, self.repository.parameters
        return acting(networks, rows, np.random.default_rng(1), greedy=greedily)

    def play(self, episodes=200, *, greedily=True) -> Played:
        """Play with the best action of each agent, or with those that it draws."""
        spec, sizes = self.game.spec, self.repository.population.sizes
        matchmaker = Matchmaker(
            sizes,
            [role.seats for role in spec.roles],
            "round_robin",
            np.random.default_rng(2),
            self_play=None,
        )
        act = self.act(greedily=greedily)
        return play_episodes(self.game, sizes, matchmaker.match, act, episodes)


def train(env, until=lambda trained: False, **settings) -> Trained:
    """Train with the settings that ``brigade train`` takes, among them ``num_transitions``.

    ``until`` is asked before each rollout whether that is enough.
    """
    given = {"env": str(env), "seed": 1} | settings
    options = convert(RuntimeOptions, given | {"given": list(given)})
    plan = resolve(options)
    config, spec = plan.config, plan.identity.game
    population = population_of(config, spec)
    agents = range(population.size)
    states = [initial_state(population.network_of(a), config.seed, a) for a in agents]
    repository = Repository(population)
    game = games_of(config, spec)
    for agent, state in enumerate(states):
        repository.add(agent, state)
    repository.act_with(dict.fromkeys(agents, 0))
    worker = RolloutWorker(config, game, repository, config.seed)
    updater = GroupedUpdater(
        population.networks_of(agents), agents, states, torch.device("cpu"), config, config.seed, 1
    )
    trained = Trained(games_of(config, spec), repository, 0)
    while trained.transitions < config.num_transitions and not until(trained):
        while not worker.full:
            worker.step()
            trained.transitions += worker.acted
        worker.cut()
        rollouts = [Rollout.of(worker.arrays(agent)) for agent in agents]
        worker.clear()
        progress = config.share(0, trained.transitions)
        for agent, learned in enumerate(updater.update(rollouts, progress)):
            assert not learned.diverged
            repository.add(agent, learned.state)
        repository.act_with(repository.newest)
    return trained
