"""Names that settings had in earlier versions. Pure; imports nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SETTINGS = {"random_starts": "exploring_starts", "normaliser_rate": "popart_rate"}
ADVANTAGES = {"counterfactual": "difference_rewards"}


def renamed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run that any version wrote, under their present names."""
    found = {SETTINGS.get(name, name): value for name, value in settings.items()}
    if found.get("advantages") in ADVANTAGES:
        found["advantages"] = ADVANTAGES[found["advantages"]]
    return found
