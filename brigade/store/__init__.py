"""Files of a run: its folder, checkpoints and metrics. Nothing else writes to disk."""
