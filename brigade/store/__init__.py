"""Files of a run: its folder, checkpoints and metrics. They are all that a run keeps on disk."""
