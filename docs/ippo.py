"""IPPO on `brigade.BatchedEnv` in plain torch; one network plays all seats. See clients.md."""

import torch
from torch import nn
from torch.distributions import Categorical

import brigade

GAMMA, LAMBDA, CLIP, EPOCHS, BATCH, NIGHTS = 0.99, 0.5, 0.2, 4, 2048, 50


def network(inputs, outputs, hidden=64):
    """Two hidden layers."""
    layers = [nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(hidden, outputs))


def policy(actor, observations, mask, nvec):
    """One categorical distribution for each component: house, mode, signal."""
    logits = actor(observations).masked_fill(~mask, -1e9).split(nvec, dim=-1)
    return [Categorical(logits=part) for part in logits]


def train(scenario="default", seed=1, updates=100, games=64, lr=1e-3, entropy=0.02, scale=None):
    """Give the trained actor, and the mean reward of a night in each update's transitions."""
    steps = 64  # so an update has 64 * games * seats transitions
    torch.manual_seed(seed)
    env = brigade.BatchedEnv(games, scenario, num_agents=4, max_cycles=NIGHTS, seed=seed)
    actor, critic = network(env.num_features, sum(env.action_nvec)), network(env.num_features, 1)
    actor[-1].weight.data.mul_(0.01)  # play begins close to uniform
    parameters = [*actor.parameters(), *critic.parameters()]
    optimiser = torch.optim.Adam(parameters, eps=1e-5)
    mask, history = torch.from_numpy(env.action_mask), []
    shape = (steps, games, env.num_agents)
    seen = torch.zeros(steps + 1, *shape[1:], env.num_features)
    seen[0] = torch.from_numpy(env.reset())  # into an array of our own: the next step overwrites
    for update in range(updates):
        left = 1 - update / updates  # learning rate and entropy bonus fall to 0
        optimiser.param_groups[0]["lr"] = lr * left
        actions, old = torch.zeros(*shape, 3, dtype=torch.int32), torch.zeros(shape)
        rewards, ended, after = torch.zeros(shape), torch.zeros(shape), torch.zeros(shape)
        for t in range(steps):
            with torch.no_grad():
                heads = policy(actor, seen[t], mask, env.action_nvec)
                actions[t] = torch.stack([head.sample() for head in heads], dim=-1)
                old[t] = sum(head.log_prob(actions[t, ..., i]) for i, head in enumerate(heads))
                observations, reward, terminated, truncated = env.step(actions[t].numpy())
                seen[t + 1], rewards[t] = torch.from_numpy(observations), torch.from_numpy(reward)
                ended[t] = torch.from_numpy(terminated | truncated)[:, None]
                after[t], final = critic(seen[t + 1])[..., 0], env.final_observations[truncated]
                after[t, truncated] = critic(torch.from_numpy(final))[..., 0]  # cut, not over
                after[t, terminated] = 0
        history.append(float(rewards.mean()))
        scale = scale or float(rewards.std()) / (1 - GAMMA) ** 0.5  # values of the order of 1
        with torch.no_grad():
            values, advantages, following = critic(seen[:-1])[..., 0], torch.zeros(shape), 0.0
            errors = rewards / scale + GAMMA * after - values
            for t in reversed(range(steps)):
                following = errors[t] + GAMMA * LAMBDA * (1 - ended[t]) * following
                advantages[t] = following
            targets = (values + advantages).flatten()
            advantages = ((advantages - advantages.mean()) / advantages.std()).flatten()
        rows, acted, old = seen[:-1].flatten(0, 2), actions.flatten(0, 2), old.flatten()
        masks = mask.expand(steps, -1, -1, -1).flatten(0, 2)
        for batch in (b for _ in range(EPOCHS) for b in torch.randperm(len(old)).split(BATCH)):
            heads = policy(actor, rows[batch], masks[batch], env.action_nvec)
            new = sum(head.log_prob(acted[batch, i]) for i, head in enumerate(heads))
            ratio, advantage = (new - old[batch]).exp(), advantages[batch]
            clipped = ratio.clamp(1 - CLIP, 1 + CLIP) * advantage
            loss = 0.5 * (critic(rows[batch])[..., 0] - targets[batch]).pow(2).mean()
            loss -= torch.minimum(ratio * advantage, clipped).mean()
            loss -= entropy * left * sum(head.entropy() for head in heads).mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 0.5)
            optimiser.step()
        seen[0] = seen[-1]
    return actor, history
