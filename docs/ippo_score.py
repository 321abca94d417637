"""Train with ippo.py and print the normalised score: 0 is random play, 1 the exact optimum."""

import argparse
import time

import ippo
import numpy as np
import torch

import brigade
from brigade.optimum import DISCOUNTED_OPTIMUM, reference_values


def discounted_return(actor, scenario, games=200, nights=1000, seed=99):
    """Give the mean over games and seats, and half the width of its 95% interval over games."""
    env = brigade.BatchedEnv(games, scenario, num_agents=4, max_cycles=nights, seed=seed)
    observations, mask = env.reset(), torch.from_numpy(env.action_mask)
    running, total = np.ones(games, dtype=bool), np.zeros(games)
    for night in range(nights):
        with torch.no_grad():
            heads = ippo.policy(actor, torch.from_numpy(observations), mask, env.action_nvec)
            actions = torch.stack([head.sample() for head in heads], dim=-1)
        observations, rewards, terminated, truncated = env.step(actions.numpy())
        total += running * ippo.GAMMA**night * rewards.mean(axis=1)
        running &= ~(terminated | truncated)
        if not running.any():
            break
    return total.mean(), 1.96 * total.std() / games**0.5


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", default="default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--scale", type=float, help="what rewards are divided by; 1: by nothing")
    parser.add_argument("--gae-lambda", type=float, default=ippo.LAMBDA)
    parser.add_argument("--nights", type=int, default=ippo.NIGHTS, help="of a game in training")
    options = parser.parse_args()
    ippo.LAMBDA, ippo.NIGHTS = options.gae_lambda, options.nights
    torch.set_num_threads(1)  # networks this small gain nothing by more
    known = reference_values(brigade.load_scenario(options.scenario), max_nights=1000)
    low = known["random"].discounted_return
    high = known[DISCOUNTED_OPTIMUM].discounted_return
    for seed in options.seeds:
        began, cpu = time.monotonic(), time.process_time()
        actor, _ = ippo.train(options.scenario, seed, scale=options.scale)
        took, cpu = time.monotonic() - began, time.process_time() - cpu
        mean, interval = discounted_return(actor, options.scenario)
        score, width = (mean - low) / (high - low), interval / (high - low)
        print(f"seed {seed}: {score:.3f} ±{width:.3f}, {took:.0f} s ({cpu:.0f} s CPU)", flush=True)
