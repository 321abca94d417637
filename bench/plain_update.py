"""A bare PPO update of K agents in plain torch, as a yardstick for the learner's.

Stacked parameters, autograd, torch's losses and its fused Adam; no value normalisation, no
pointing at houses, no threads of its own, and advantages that somebody else has worked out.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from brigade.config import RunConfig
from brigade.policy.network import Network


class PlainUpdate:
    """One update's gradient batches, on made-up data of the shapes that a run has."""

    def __init__(self, network: Network, config: RunConfig, device: torch.device) -> None:
        k, n = config.num_agents, config.rollout_transitions
        self.config, self.nvec, self.device = config, list(network.action_nvec), device
        width = network.num_logits + 1
        sizes = [network.num_features, network.hidden_size, network.hidden_size, width]
        self.weights = [self._leaf(k, a, b) for a, b in pairwise(sizes)]
        self.biases = [self._leaf(k, 1, b) for b in sizes[1:]]
        parameters = [*self.weights, *self.biases]
        self.adam = torch.optim.Adam(parameters, lr=config.learning_rate, fused=True)
        self.observations = torch.rand(k, n, network.num_features, device=device)
        self.actions = torch.zeros(k, n, len(self.nvec), dtype=torch.int64, device=device)
        self.log_probs, self.advantages, self.targets = torch.rand(3, k, n, device=device).unbind()

    def _leaf(self, *shape: int) -> Tensor:
        return (0.05 * torch.randn(*shape, device=self.device)).requires_grad_()

    def update(self) -> None:
        """Take every gradient batch of an update."""
        k, n = self.log_probs.shape
        rows = torch.arange(k, device=self.device).unsqueeze(1)
        for _ in range(self.config.num_epochs):
            order = torch.argsort(torch.rand(k, n, device=self.device), dim=1)
            for index in torch.split(order, self.config.batch_size, dim=1):
                if index.shape[1] == self.config.batch_size:
                    self._gradient_batch(rows, index)

    def _gradient_batch(self, rows: Tensor, index: Tensor) -> None:
        config = self.config
        x = self.observations[rows, index]
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = torch.baddbmm(bias, x, weight).relu()
        outputs = torch.baddbmm(self.biases[-1], x, self.weights[-1])
        parts = [log_softmax(part, -1) for part in torch.split(outputs[..., :-1], self.nvec, -1)]
        actions = self.actions[rows, index]
        log_probs = torch.stack(
            [part.gather(-1, actions[..., i : i + 1])[..., 0] for i, part in enumerate(parts)]
        ).sum(0)
        entropy = -torch.stack([(part.exp() * part).sum(-1) for part in parts]).sum(0)
        ratio = torch.exp(log_probs - self.log_probs[rows, index])
        clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
        advantages = self.advantages[rows, index]
        policy_loss = -torch.minimum(ratio * advantages, clipped * advantages)
        value_loss = 0.5 * (outputs[..., -1] - self.targets[rows, index]).square()
        loss = policy_loss + config.value_coef * value_loss - config.entropy_coef * entropy
        self.adam.zero_grad()
        torch.autograd.backward(loss.mean(1).sum())
        gradients = [leaf.grad for leaf in (*self.weights, *self.biases)]
        norms = torch.stack([g.square().sum((1, 2)) for g in gradients if g is not None]).sum(0)
        scale = (config.max_grad_norm / (norms.sqrt() + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            assert gradient is not None
            gradient.mul_(scale.view(-1, 1, 1))
        self.adam.step()
