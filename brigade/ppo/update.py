"""One update of K agents: advantages, then ``update_interval`` gradient batches each.

All agents of a learner go through the same batched operations, and yet nothing passes between
them: each row's gradient, clipping, optimiser and PopArt moments see that agent's data alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from brigade import seeds
from brigade.config import PPOConfig
from brigade.policy import gaussian
from brigade.policy.distribution import log_prob, log_softmax, offsets
from brigade.policy.network import Activations, Gradients, backward, forward
from brigade.ppo import popart
from brigade.ppo.adam import Adam
from brigade.ppo.agents import AgentStack, AgentState
from brigade.ppo.cuda_graph import CudaGraph
from brigade.ppo.difference_rewards import DefaultSteps, difference_advantages
from brigade.ppo.gae import Floats, gae
from brigade.ppo.loss import (
    STATISTICS,
    Batch,
    Coefficients,
    continuous_loss_gradient,
    loss_gradient,
)
from brigade.ppo.observation_statistics import take_in
from brigade.ppo.picture_rows import PictureRows
from brigade.ppo.rollout import Rollout
from brigade.ppo.upload import Upload, to_device


def num_batches(transitions: int, config: PPOConfig) -> int:
    """Gradient batches that an agent takes from so many transitions.

    It is ``update_interval``, which over the usual number of transitions makes ``num_epochs``
    passes; fewer where it would mean more than one pass beyond that.
    """
    most = (config.num_epochs + 1) * transitions // config.batch_size
    return min(config.update_interval, max(most, 1)) if transitions else 0


def minibatch_order(
    transitions: int, batches: int, batch_size: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Deal transitions into batches, int64 ``[batches, batch_size]``: shuffled pass after pass."""
    needed = batches * batch_size
    passes = -(-needed // transitions) if transitions else 0
    order = [generator.permutation(transitions) for _ in range(passes)]
    return np.concatenate([*order, np.empty(0, np.int64)])[:needed].reshape(batches, batch_size)


class Updater:
    """Updates a stack of agents, keeping its buffers from one update to the next."""

    def __init__(self, stack: AgentStack, config: PPOConfig, seed: int) -> None:
        self.stack = stack
        self.config = config
        self.seed = seed
        network, k, device = stack.network, len(stack.agents), stack.device
        self._activations = Activations.empty(network, k, config.batch_size, device)
        self._gradients = Gradients.empty(network, k, config.batch_size, device)
        self._batch = Batch.empty(network, k, config.batch_size, device)
        # Schedules move them; on the device, where a recorded step reads them.
        self._rate, self._entropy_coef, worse = torch.zeros(3, device=device).unbind()
        self._worse = worse if config.optimism else None
        self._coefficients = Coefficients(
            config.clip, config.value_coef, self._entropy_coef, self._worse
        )
        self._adam = Adam(stack, self._gradients.rows)
        self._graph = CudaGraph(device)  # of a step of all agents
        self._offsets = torch.tensor(offsets(network.action_nvec), device=device)

    def update(
        self,
        rollouts: Sequence[Rollout],
        progress: float = 0.0,
        *,
        recompute: bool | Sequence[bool] = False,
        between_batches: Callable[[], None] = lambda: None,
    ) -> list[dict[str, float]]:
        """Learn from one rollout of each agent and raise its version by one.

        Parameters
        ----------
        rollouts
            One for each row of the stack; an empty one leaves that agent's network as it is.
        progress
            Share of the run done, in [0, 1], for schedules.
        recompute
            For which agents, or whether for all, to measure the policy's change, and the
            advantages, from the agent as it is now rather than from the older version that acted.
            With a lag of one, that learns as fast as with none, where clipping around the policy
            that acted leaves most of each batch without a gradient (Hilton et al. 2022, "Batch
            size-invariance for policy optimization"). An agent whose observations are normalised
            always does so, as its statistics take in the rollout's observations first, with which
            it is another function than the one that acted.
        between_batches
            Called after each gradient batch, to send heartbeats.

        Returns
        -------
        list of dict
            For each agent the mean statistics of its batches (:data:`loss.STATISTICS`),
            ``grad_norm``, ``explained_variance``, ``transitions``, ``batches``.
        """
        stack, config = self.stack, self.config
        left = 1.0 - progress if config.anneal else 1.0
        again = [recompute] * len(rollouts) if isinstance(recompute, bool) else list(recompute)
        worse = 1.0 - config.optimism * left
        if self._worse is not None:
            self._worse.fill_(worse)
        data, explained = self._prepare(rollouts, again, worse)
        counts = [num_batches(len(rollout), config) for rollout in rollouts]
        order = to_device(self._order(rollouts, counts), stack.device)
        self._rate.fill_(config.learning_rate * left)
        # As a fifth power: gone while there is still a learning rate to follow the advantages with.
        self._entropy_coef.fill_(config.entropy_coef * left**5)
        sums = torch.zeros(len(rollouts), len(STATISTICS) + 1, device=stack.device)
        for step in range(max(counts, default=0)):
            live = [step < count for count in counts]
            statistics = self._gradient_batch(data, order[step], live)
            if not all(live):
                statistics = statistics * torch.tensor(live, device=stack.device).unsqueeze(1)
            sums += statistics
            between_batches()
        means = (sums.cpu() / torch.tensor(counts).clamp(min=1).unsqueeze(1)).tolist()
        for row in range(len(rollouts)):
            stack.versions[row] += 1
            stack.steps[row] += counts[row]
        return [
            dict(zip((*STATISTICS, "grad_norm"), means[row], strict=True))
            | {
                "explained_variance": explained[row],
                "transitions": float(len(rollouts[row])),
                "batches": float(counts[row]),
            }
            for row in range(len(rollouts))
        ]

    def put(self, row: int, state: AgentState) -> None:
        """Let the agent in a row of the stack be as a state says, with its optimiser."""
        self.stack.put(row, state)
        self._adam.steps[row].fill_(state.steps)

    def _prepare(
        self, rollouts: Sequence[Rollout], again: Sequence[bool], worse: float
    ) -> tuple[_Data, list[float]]:
        """Compute advantages and targets, move the PopArt moments, and stack all on the device."""
        stack, config, device = self.stack, self.config, self.stack.device
        old = popart.moments(stack.statistics)
        observations = _stack_observations([r.observations for r in rollouts], device)
        pictures = None
        if stack.network.pictures:
            pictures = PictureRows([r.pictures for r in rollouts], device)
        if stack.network.normalised:
            self._take_in(observations, [len(r) for r in rollouts])
            again = [True] * len(rollouts)
        if stack.network.num_continuous:
            actions = _stack([r.actions for r in rollouts], device)
        else:
            actions = _stack([r.actions.astype(np.int64) for r in rollouts], device) + self._offsets
        component_mask = _stack([r.component_mask.astype(np.float32) for r in rollouts], device)
        log_probs = _stack([r.log_probs for r in rollouts], device)
        mask = None
        if stack.network.masked:
            mask = _stack([r.action_mask for r in rollouts], device)
        values = [r.values for r in rollouts]
        if any(again):
            seen = observations, pictures
            found, outputs = self._recompute(*seen, actions, component_mask, mask)
            log_probs = torch.where(
                torch.tensor(again, device=device).unsqueeze(1), found, log_probs
            )
            mean, deviation = (moment.numpy() for moment in old)
            for k, row in enumerate(outputs.cpu().numpy()):
                if again[k]:
                    values[k] = row[: len(values[k])] * deviation[k] + mean[k]
        ahead = self._values_ahead(rollouts, old)
        advantages = [
            gae(r.rewards, v, r.discounts, r.lengths, bootstraps, config.gae_lambda)
            for r, v, (bootstraps, _) in zip(rollouts, values, ahead, strict=True)
        ]
        credit = [
            self._credit(r, v, a, *b, worse)
            for r, v, a, b in zip(rollouts, values, advantages, ahead, strict=True)
        ]
        returns = [a + v for a, v in zip(advantages, values, strict=True)]
        explained = [_explained_variance(v, r) for v, r in zip(values, returns, strict=True)]
        stack.statistics = popart.update(
            stack.statistics, [torch.from_numpy(r) for r in returns], config.popart_rate
        )
        new = popart.moments(stack.statistics)
        popart.rescale_value_head(stack.views, _to(old, device), _to(new, device))
        mean, deviation = (moment.numpy() for moment in new)
        targets = [(r - mean[k]) / deviation[k] for k, r in enumerate(returns)]
        data = _Data(
            observations,
            pictures,
            actions,
            component_mask,
            log_probs,
            _stack(credit, device),
            _stack(targets, device),
            mask,
        )
        return data, explained

    def _take_in(self, observations: Tensor, lengths: Sequence[int]) -> None:
        """Let each agent's statistics take in its own of the observations ``[K, n, F]``."""
        columns = self._activations.constants.normalised
        for k, length in enumerate(lengths):
            seen = observations[k, :length].index_select(1, columns)
            take_in({name: view[k] for name, view in self.stack.views.items()}, seen)

    def _credit(
        self,
        rollout: Rollout,
        values: Floats,
        advantages: Floats,
        bootstraps: Floats,
        default: DefaultSteps,
        worse: float,
    ) -> Floats:
        """Advantage of each component of each action, float32 ``[n, C]``.

        A signal works by what others make of it, and GAE finds that. All are in units of the GAE's
        deviation, which is mostly luck, so that where there is less luck the policy moves less, and
        does not grow certain the sooner. In units of their own size, an agent that seldom acts
        would find that size small, the cost of acting large in proportion, and act still less.
        """
        if not len(rollout):
            return np.zeros(rollout.actions.shape, np.float32)
        own, advantages = advantages, _weighed(advantages, worse)
        deviation = advantages.std() + np.float32(1e-8)
        seen = (advantages - advantages.mean()) / deviation
        if self.config.advantages == "gae":
            done = seen
        else:
            r, gae_lambda = rollout, self.config.gae_lambda
            steps = (r.rewards, values, r.discounts, r.lengths, bootstraps, own)
            done = _weighed(difference_advantages(*steps, default, gae_lambda), worse)
            # Where there is next to no luck, as in a single step, their own size is the larger.
            done /= max(deviation, np.sqrt(np.mean(done**2)))
        signals = self.stack.network.signals
        components = range(rollout.actions.shape[1])
        return np.stack([seen if c in signals else done for c in components], axis=1)

    def _recompute(
        self,
        observations: Tensor,
        pictures: PictureRows | None,
        actions: Tensor,
        component_mask: Tensor,
        mask: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Log-probabilities and normalised values under the current policies, ``[K, n]`` each."""
        network = self.stack.network
        log_probs = torch.empty(observations.shape[:2], device=observations.device)
        values = torch.empty_like(log_probs)
        for here, activations in self._forward(observations, pictures):
            rows = here.stop - here.start
            done, counts = actions[:, here], component_mask[:, here]
            outputs = activations.outputs[:, :rows, :-1]
            if network.num_continuous:
                density = gaussian.log_prob(outputs, done, squashed=network.squashed)
                log_probs[:, here] = (density * counts).sum(-1)
            else:
                choices = None if mask is None else mask[:, here]
                logits = log_softmax(outputs, network.action_nvec, choices)
                log_probs[:, here] = log_prob(logits, done, counts)
            values[:, here] = activations.values[:, :rows]
        return log_probs, values

    def _values_ahead(
        self, rollouts: Sequence[Rollout], moments: tuple[Tensor, Tensor]
    ) -> list[tuple[Floats, DefaultSteps]]:
        """Look ahead: the values of what follows each agent's fragments, and its default steps.

        The former are float32 ``[M]``; both are in the game's units.
        """
        stack = self.stack
        wanted = [
            np.concatenate([r.bootstrap_observations, r.default_observations]) for r in rollouts
        ]
        observations = _stack(wanted, stack.device)
        pictures = None
        if stack.network.pictures:
            pictures = PictureRows([r.bootstrap_pictures for r in rollouts], stack.device)
        values = torch.empty(observations.shape[:2], device=stack.device)
        for here, activations in self._forward(observations, pictures):
            values[:, here] = activations.values[:, : here.stop - here.start]
        mean, deviation = moments
        known = (values.cpu() * deviation.unsqueeze(1) + mean.unsqueeze(1)).numpy()
        ahead = []
        for row, rollout in zip(known, rollouts, strict=True):
            ends = len(rollout.bootstrap_observations)
            bootstraps = np.zeros(len(rollout.lengths), np.float32)
            bootstraps[~rollout.terminated] = row[:ends]
            default = np.zeros(len(rollout.changed), np.float32)
            lasting = rollout.changed & ~rollout.default_terminated
            default[lasting] = row[ends : ends + len(rollout.default_observations)]
            ahead.append(
                (bootstraps, DefaultSteps(rollout.default_rewards, rollout.changed, default))
            )
        return ahead

    def _forward(
        self, observations: Tensor, pictures: PictureRows | None
    ) -> Iterator[tuple[slice, Activations]]:
        """Look at observations ``[K, n, F]`` a piece at a time, through the batches' buffers.

        Yields which of the n, and the buffers; their rows beyond those are stale.
        """
        buffers, size = self._activations, self.config.batch_size
        for start in range(0, observations.shape[1], size):
            here = slice(start, min(start + size, observations.shape[1]))
            buffers.observations[:, : here.stop - start] = observations[:, here]
            if pictures is not None:
                pictures.copy(here, buffers.pictures)
            yield here, forward(self.stack.views, buffers)

    def _order(self, rollouts: Sequence[Rollout], counts: Sequence[int]) -> Tensor:
        """Minibatches as rows of the stacked data, int64 ``[batches, K, B]``."""
        stack, size = self.stack, self.config.batch_size
        longest = max(len(rollout) for rollout in rollouts)
        order = np.zeros((max(counts, default=0), len(rollouts), size), np.int64)
        for k, (agent, rollout) in enumerate(zip(stack.agents, rollouts, strict=True)):
            generator = seeds.generator(
                self.seed, seeds.Purpose.MINIBATCHES, agent, stack.versions[k]
            )
            order[: counts[k], k] = minibatch_order(len(rollout), counts[k], size, generator)
            order[:, k] += k * longest
        return torch.from_numpy(order)

    def _gradient_batch(self, data: _Data, index: Tensor, live: Sequence[bool]) -> Tensor:
        """Take a gradient step with each live agent, on rows ``index``; statistics ``[K, 6]``."""
        data.gather(index, self._activations, self._batch)
        if not all(live):
            return self._step(live)
        return self._graph.do(lambda: self._step(live))

    def _step(self, live: Sequence[bool]) -> Tensor:
        """Take one gradient step for each live agent with what was gathered."""
        network = self.stack.network
        activations = forward(self.stack.views, self._activations)
        losses = activations.outputs, self._batch, self._coefficients
        if network.num_continuous:
            gradient, statistics = continuous_loss_gradient(*losses, squashed=network.squashed)
        else:
            gradient, statistics = loss_gradient(*losses, network.action_nvec)
        rows = backward(self.stack.views, activations, gradient, self._gradients)
        norms = torch.linalg.vector_norm(rows, dim=1)
        scale = (self.config.max_grad_norm / (norms + 1e-6)).clamp(max=1.0)
        if rows.device.type != "cpu" or bool((scale < 1).any()):
            rows.mul_(scale.unsqueeze(1))
        self._adam.step(live, self._rate)
        return torch.cat([statistics, norms.unsqueeze(1)], dim=1)


@dataclass(frozen=True)
class _Data:
    """All agents' transitions on the device, padded to the longest rollout n."""

    observations: Tensor  # [K, n, F]
    pictures: PictureRows | None
    actions: Tensor  # [K, n, C], as in a batch
    component_mask: Tensor  # [K, n, C]
    log_probs: Tensor  # [K, n]
    advantages: Tensor  # [K, n, C]
    targets: Tensor  # [K, n]
    action_mask: Tensor | None  # bool [K, n, L]

    def gather(self, index: Tensor, into: Activations, batch: Batch) -> None:
        """Copy rows ``index`` ``[K, B]`` (of K * n) into observations and ``batch``."""
        flat = index.view(-1)
        _gather(self.observations, flat, into.observations)
        if self.pictures is not None:
            agents, longest = self.observations.shape[:2]
            firsts = longest * torch.arange(agents, device=index.device)
            self.pictures.gather(index - firsts.unsqueeze(1), into.pictures)
        for name in ("actions", "component_mask", "log_probs", "advantages", "targets"):
            _gather(getattr(self, name), flat, getattr(batch, name))
        if self.action_mask is not None and batch.action_mask is not None:
            _gather(self.action_mask, flat, batch.action_mask)


def _gather(data: Tensor, flat: Tensor, out: Tensor) -> None:
    torch.index_select(data.flatten(0, 1), 0, flat, out=out.flatten(0, 1))


def _stack(arrays: Sequence[NDArray[np.generic]], device: torch.device) -> Tensor:
    """Stack arrays ``[n_k, ...]`` to ``[K, max n_k, ...]``, zeros behind the shorter ones."""
    longest = max(len(array) for array in arrays)
    first = arrays[0]
    out = np.zeros((len(arrays), longest, *first.shape[1:]), first.dtype)
    for row, array in zip(out, arrays, strict=True):
        row[: len(array)] = array
    return to_device(torch.from_numpy(out), device)


def _stack_observations(
    parts: Sequence[NDArray[np.float32] | Upload], device: torch.device
) -> Tensor:
    """Do as :func:`_stack`; all may be on the device already, or none."""
    tensors = [part.wait() for part in parts if isinstance(part, Upload)]
    if not tensors:
        return _stack([part for part in parts if not isinstance(part, Upload)], device)
    longest = max(len(tensor) for tensor in tensors)
    out = torch.zeros(len(parts), longest, tensors[0].shape[1], device=device)
    for row, tensor in zip(out, tensors, strict=True):
        row[: len(tensor)] = tensor
    return out


def _to(moments: tuple[Tensor, Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    return moments[0].to(device), moments[1].to(device)


def _weighed(advantages: Floats, worse: float) -> Floats:
    """Let what is worse than expected count less."""
    if worse == 1.0:
        return advantages
    return np.where(advantages < 0, advantages * np.float32(worse), advantages)


def _explained_variance(values: NDArray[np.float32], targets: NDArray[np.float32]) -> float:
    """Share of the targets' variance that the values explain; 0 where the targets are constant."""
    variance = float(np.var(targets)) if len(targets) else 0.0
    return 1.0 - float(np.var(targets - values)) / variance if variance > 1e-12 else 0.0
