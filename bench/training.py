"""How much of this machine's matrix multiplication a training run turns into learning.

Measures, in one run: the sgemm rate at the network's shapes; a bare update in plain torch; the
learner's update alone; and a whole ``brigade train``. Each is also given as a share of what the
sgemm rate would allow if a transition cost one inference and ``num_epochs`` forward and backward
passes, and nothing else. Then it tells what the update and playing spend their time on.

    python bench/training.py [--population-size 8] [--hidden-size 512] [--device cpu] ...
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from pace import WARM_UP_ROWS, metrics, speed
from plain_update import PlainUpdate
from stopwatch import Stopwatch
from utilisation import told, utilisation

from brigade.config import RunConfig, convert
from brigade.env.batched import BatchedEnv
from brigade.env.scenarios import load_scenario
from brigade.games.bucket_brigade import describe
from brigade.games.spec import GameSpec
from brigade.policy import distribution
from brigade.policy.actor import Actor
from brigade.policy.build import network_for
from brigade.policy.network import Network
from brigade.ppo import update
from brigade.ppo.adam import Adam
from brigade.ppo.agents import initial_state
from brigade.ppo.parallel import GroupedUpdater
from brigade.ppo.rollout import Rollout
from brigade.ppo.update import Updater
from brigade.ppo.upload import Uploader
from brigade.run.cores import available_cores
from brigade.run.process import use_threads
from brigade.sim.preparation import games_of, population_of
from brigade.sim.repository import Repository
from brigade.sim.rollout import RolloutBuffer
from brigade.sim.rollout_worker import RolloutWorker

CHANGED = 20  # one step in so many has an action that changes a house
Parts = dict[str, list[tuple[Any, str]]]
PREPARATION: Parts = {"advantages and copies": [(Updater, "_prepare"), (Updater, "_order")]}
UPDATE_PARTS: Parts = PREPARATION | {
    "matrix products": [(torch, "bmm"), (torch, "baddbmm")],
    "other work of the network": [(update, "forward"), (update, "backward")],
    "loss": [(update, "loss_gradient")],
    "optimiser": [(Adam, "step")],
    "gathering batches": [(update._Data, "gather")],
}
# The rest is waiting for the GPU, which does the work.
GPU_UPDATE_PARTS: Parts = PREPARATION | {
    "giving orders for gradient batches": [(Updater, "_gradient_batch")]
}
PLAY_PARTS: Parts = {
    "inference": [(Actor, "outputs")],
    "sampling actions": [(distribution, "sample")],
    "environment": [(BatchedEnv, "step"), (BatchedEnv, "default_outcomes")],
    "keeping": [(RolloutBuffer, "record"), (RolloutBuffer, "end")],
}
PLAYED = 50_000  # transitions


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scenario", default="default")
    parser.add_argument("--population-size", type=int, default=8)
    parser.add_argument("--num-games", type=int, default=None)
    parser.add_argument("--hidden-size", type=int, default=512)
    parser.add_argument("--num-learners", type=int, default=1)
    parser.add_argument("--sync", default="overlap")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--num-transitions", type=int, default=700_000)
    parser.add_argument("--threads", type=int, default=None, help="of each learner")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    names = ("scenario", "population_size", "num_games", "hidden_size", "sync", "num_transitions")
    config = convert(RunConfig, {name: getattr(options, name) for name in names} | {"seed": 1})
    network = network_for(game_of(config).role, config.hidden_size)
    device = torch.device(options.device)
    flops = flops_per_transition(network, config)
    cores = available_cores()
    print(
        f"{config.num_agents} agents, hidden {config.hidden_size}, batch {config.batch_size}, "
        f"{config.num_epochs} epochs, {config.games} games; {cores} cores, {device}, "
        f"torch {torch.__version__}; {flops / 1e6:.2f} MFLOP a transition"
    )
    print(f"{'':34}{'threads':>8}{'GFLOP/s':>10}{'transitions/s':>15}{'share':>8}")
    rates: dict[int, float] = {}
    update_shares: dict[str, float] = {}
    # On a GPU the processor's threads only give orders, and one is enough.
    for threads in sorted({1, cores}) if device.type == "cpu" else [1]:
        use_threads(threads)
        rates[threads] = sgemm_rate(network, config, device, options.repeats)
        row("sgemm at the network's shapes", threads, rates[threads], rates[threads] / flops, 1.0)
        pace = plain_update_speed(network, config, device)
        share = pace * update_flops(network, config) / rates[threads]
        row("a bare update in plain torch", threads, share * rates[threads], pace, share)
        with utilisation(device) as busy:
            pace, shares = update_speed(network, config, device, threads)
        update_shares = update_shares or shares  # of one thread: others run beside it
        share = pace * update_flops(network, config) / rates[threads]
        row("the learner's update alone", threads, share * rates[threads], pace, share, told(busy))
    with utilisation(device) as busy:
        pace, shares = training_speed(options, config)
    share = pace * flops / rates[max(rates)]
    row("brigade train, after warm-up", cores, pace * flops, pace, share, told(busy))
    tell("the simulator's time, of the whole run", shares)
    tell("a step of play (1 thread)", play_shares(config))
    tell("an update (1 thread)", update_shares)


def tell(what: str, shares: dict[str, float]) -> None:
    print(f"{what}: " + ", ".join(f"{name} {share:.1%}" for name, share in shares.items()))


def row(what: str, threads: int, rate: float, pace: float, share: float, more: str = "") -> None:
    print(f"{what:34}{threads:8}{rate / 1e9:10.1f}{pace:15,.0f}{share:8.2f}{more}", flush=True)


def update_flops(network: Network, config: RunConfig) -> float:
    """FLOPs of learning from one transition: forward and backward, ``num_epochs`` times.

    The backward pass costs two products for each of the forward pass's, but for the first layer,
    whose input needs no gradient.
    """
    first = 2 * network.num_features * network.hidden_size
    return config.num_epochs * (3 * network.forward_flops - first)


def flops_per_transition(network: Network, config: RunConfig) -> float:
    return network.forward_flops + update_flops(network, config)


def best_time(work: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Median seconds of a call, after one that is not counted."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def sgemm_rate(network: Network, config: RunConfig, device: torch.device, repeats: int) -> float:
    """FLOP/s of a gradient batch's matrix products and nothing else."""
    k, b, h = config.num_agents, config.batch_size, network.hidden_size
    f, o = network.num_features, network.query_size + network.num_logits + 1

    def room(*shape: int) -> torch.Tensor:
        return torch.randn(k, *shape, device=device)

    x, h1, h2, out = room(b, f), room(b, h), room(b, h), room(b, o)
    w1, w2, w3 = room(f, h), room(h, h), room(h, o)

    def products() -> None:
        for _ in range(10):
            torch.bmm(x, w1, out=h1)
            torch.bmm(h1, w2, out=h2)
            torch.bmm(h2, w3, out=out)
            torch.bmm(h2.mT, out, out=w3)
            torch.bmm(out, w3.mT, out=h2)
            torch.bmm(h1.mT, h2, out=w2)
            torch.bmm(h2, w2.mT, out=h1)
            torch.bmm(x.mT, h1, out=w1)
            for each in (w1, w2, w3):
                each.fill_(0.01)

    flops = 10 * k * b * update_flops(network, config) / config.num_epochs
    return flops / best_time(products, repeats, device)


def plain_update_speed(network: Network, config: RunConfig, device: torch.device) -> float:
    """Transitions a second of a bare update."""
    plain = PlainUpdate(network, config, device)
    repeats = 1 if device.type == "cpu" else 5
    return config.num_agents * config.rollout_transitions / best_time(plain.update, repeats, device)


def update_speed(
    network: Network, config: RunConfig, device: torch.device, threads: int
) -> tuple[float, dict[str, float]]:
    """Transitions a second of a learner's updates on made-up rollouts, and where its time goes."""
    k, n = config.num_agents, config.rollout_transitions
    states = [initial_state(network, 1, agent) for agent in range(k)]
    updater = GroupedUpdater([network] * k, range(k), states, device, config, 1, threads)
    generator = np.random.default_rng(1)

    def floats(*shape: int) -> np.ndarray:
        return generator.random(shape, dtype=np.float32)

    length = 50
    n -= n % length
    rollouts = [
        Rollout.of(
            {
                "observations": floats(n, network.num_features),
                "actions": np.zeros((n, len(network.action_nvec)), np.uint8),
                "component_mask": np.ones((n, len(network.action_nvec)), np.bool_),
                "log_probs": -3 - floats(n),
                "values": floats(n),
                "rewards": floats(n),
                "discounts": np.full(n, 0.99, np.float32),
                "lengths": np.full(n // length, length, np.int32),
                "terminated": np.zeros(n // length, np.bool_),
                "truncated": np.zeros(n // length, np.bool_),
                "policy_versions": np.zeros(n // length, np.int64),
                "bootstrap_observations": floats(n // length, network.num_features),
                "default_rewards": floats(n),
                "default_terminated": np.zeros(n, np.bool_),
                "changed": np.arange(n) % CHANGED == 0,
                "default_observations": floats(len(range(0, n, CHANGED)), network.num_features),
            }
        )
        for _ in range(k)
    ]
    if device.type != "cpu":  # in a run that happens as they arrive
        uploader = Uploader(device)
        rollouts = [rollout.sent(uploader) for rollout in rollouts]
    repeats = 1 if device.type == "cpu" else 5
    pace = k * n / best_time(lambda: updater.update(rollouts), repeats, device)
    watch = Stopwatch()
    with watch.watching(UPDATE_PARTS if device.type == "cpu" else GPU_UPDATE_PARTS):
        started = time.perf_counter()
        updater.update(rollouts)
        took = time.perf_counter() - started
    return pace, watch.shares(took)


def game_of(config: RunConfig) -> GameSpec:
    """Describe what a run plays."""
    return describe(load_scenario(config.scenario), config.num_agents_per_game)


def play_shares(config: RunConfig) -> dict[str, float]:
    """Where the time of ``RolloutWorker.step`` goes, on one thread, as beside learners on a CPU."""
    game = game_of(config)
    population = population_of(config, game)
    network, repository = population.network, Repository(population)
    for agent in range(config.num_agents):
        repository.add(agent, initial_state(network, 1, agent))
    repository.act_with(dict.fromkeys(range(config.num_agents), 0))
    worker = RolloutWorker(config, games_of(config, game), repository, seed=1)
    use_threads(1)
    watch = Stopwatch()
    steps = max(10, PLAYED // worker.seats.size)
    with watch.watching(PLAY_PARTS):
        started = time.perf_counter()
        for _ in range(steps):
            if worker.full:
                worker.clear()
            worker.step()
        took = time.perf_counter() - started
    use_threads(available_cores())
    return watch.shares(took)


def training_speed(
    options: argparse.Namespace, config: RunConfig
) -> tuple[float, dict[str, float]]:
    """Transitions a second of a whole run after warm-up, and the simulator's shares of time."""
    rows = metrics(
        [
            *("--scenario", config.scenario, "--seed", "1", "--sync", config.sync),
            *("--population-size", str(config.num_agents)),
            *("--num-games", str(config.games), "--hidden-size", str(config.hidden_size)),
            *("--num-transitions", str(config.num_transitions)),
            *("--num-learners", str(options.num_learners), "--device", options.device),
            *(("--threads", str(options.threads)) if options.threads else ()),
        ]
    )
    shares = {
        name: statistics.mean(row["time_share"][name] for row in rows[WARM_UP_ROWS:-1])
        for name in rows[0]["time_share"]
    }
    return speed(rows), shares


if __name__ == "__main__":
    main()
