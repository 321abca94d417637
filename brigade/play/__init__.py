"""Games for people to watch: played by a team, recorded, replayed, explained."""

from __future__ import annotations

from brigade.extras import require

require("brigade.play", "cli")

from brigade.play.explain import explain_scenario, list_scenarios
from brigade.play.record import GameRecord
from brigade.play.show import play, replay

__all__ = ["GameRecord", "explain_scenario", "list_scenarios", "play", "replay"]
