"""Pictures and text of a game, drawn from a plain snapshot and nothing else."""

from __future__ import annotations

from brigade.env.render.picture import picture
from brigade.env.render.snapshot import Snapshot
from brigade.env.render.text import text

__all__ = ["Snapshot", "picture", "text"]
