"""PPO for K agents at once: advantages, the loss and its gradient, normalisation, the update."""
