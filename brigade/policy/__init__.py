"""Policies: the network's shape and arithmetic, and the distribution over actions."""
