"""The rules written down a second time: slow, plain Python, sharing no code with the core.

Draws and progress are 32-bit floats as in the rules, so that states agree exactly; rewards are
64-bit floats, summed with their magnitude, so that rounding can be told from an error.
"""

import copy

import numpy as np

SAFE, BURNING, RUINED = 0, 1, 2
_M32, _M64, _M128 = 2**32 - 1, 2**64 - 1, 2**128 - 1


class Draws:
    """PCG64 as rand_pcg 0.3 seeds it, giving the 32-bit floats of rand 0.8."""

    def __init__(self, seed):
        seed_bytes = b""
        for _ in range(8):
            seed = (seed * 6364136223846793005 + 11634580027462260723) & _M64
            shifted = (((seed >> 18) ^ seed) >> 27) & _M32
            turn = seed >> 59
            word = ((shifted >> turn) | (shifted << (32 - turn) % 32)) & _M32
            seed_bytes += word.to_bytes(4, "little")
        start = int.from_bytes(seed_bytes[:16], "little")
        self.step = int.from_bytes(seed_bytes[16:], "little") | 1
        self.state = (start + self.step) & _M128
        self._advance()

    def _advance(self):
        multiplier = 47026247687942121848144207491837523525
        self.state = (self.state * multiplier + self.step) & _M128

    def __call__(self):
        self._advance()
        turn = self.state >> 122
        folded = (self.state >> 64) ^ (self.state & _M64)
        turned = ((folded >> turn) | (folded << (64 - turn) % 64)) & _M64
        return np.float32((turned & _M32) >> 8) * np.float32(2**-24)


class FreshDraws:
    """A draw for each event that a night did not draw for: number k of SplitMix64 for event k.

    Events are numbered by kind, then by house; the seed is made of the place in the game's stream.
    """

    KINDS = ("extinguish", "left", "right", "ignite")

    def __init__(self, draws, num_houses):
        low, high = draws.state & _M64, draws.state >> 64
        self.seed = self._mix(high ^ self._mix(low))
        self.num_houses = num_houses

    @staticmethod
    def _mix(word):
        word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _M64
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _M64
        return word ^ (word >> 31)

    def __call__(self, event):
        kind, house = event
        number = self.KINDS.index(kind) * self.num_houses + house
        word = self._mix((self.seed + (number + 1) * 0x9E3779B97F4A7C15) & _M64)
        return np.float32(word >> 40) * np.float32(2**-24)


class Sum:
    """A sum and the sum of its terms' sizes."""

    def __init__(self):
        self.value = self.size = 0.0

    def add(self, term, size=None):
        self.value += term
        self.size += abs(term) if size is None else size


def ring_distance(a, b, n):
    return min((a - b) % n, (b - a) % n)


class ReferenceGame:
    """One game. ``parameters`` is a complete dictionary, as ``Scenario.to_dict`` gives it."""

    def __init__(self, parameters, num_agents, seed):
        self.p = parameters
        self.num_agents = num_agents
        self.n = parameters["num_houses"]
        self.homes = parameters["agent_home_positions"]
        if self.homes is None:
            self.homes = [seat % self.n for seat in range(num_agents)]
        self.draws = Draws(seed)
        self.drawn = {}  # what fell in the latest night, by what it decided
        self.reset()

    def reset(self):
        self.night = 0
        self.done = False
        self.progress = [np.float32(0)] * self.n
        self.last_actions = [[0, 0, 0]] * self.num_agents
        self.round1 = [0] * self.num_agents
        self.houses = [SAFE] * self.n
        self._ignite()

    def draw(self, event):
        self.drawn[event] = self.draws()
        return self.drawn[event]

    def _below(self, probability, event):
        return self.draw(event) < np.float32(probability)

    def _ignite(self):
        for house in range(self.n):
            catches = self.p["prob_house_catches_fire"]
            if self.houses[house] == SAFE and self._below(catches, ("ignite", house)):
                self.houses[house] = BURNING
                self.progress[house] = np.float32(0)

    def step(self, actions, round1_signals=None):
        """Play a night; return the rewards, their terms' sizes, and whether the game is over."""
        before = list(self.houses)
        self.drawn = {}
        self.last_actions = [self._within_reach(*pair) for pair in enumerate(actions)]
        if round1_signals is not None:
            self.round1 = list(round1_signals)
        workers = [0] * self.n
        for house, mode, _ in self.last_actions:
            workers[house] += mode

        if self.p["extinguish_mode"] == "bernoulli":
            self._put_out(workers)
        else:
            self._wear_down(workers)
        self._spread()
        self._ignite()

        alike = set(self.houses) in ({SAFE}, {RUINED})
        self.done = self.night >= self.p["min_nights"] and alike
        sums = [self._reward(seat, before, workers) for seat in range(self.num_agents)]
        self.night += 1
        return [s.value for s in sums], [s.size for s in sums], self.done

    def without(self, seat, actions, round1_signals=None):
        """Play the coming night in a copy, with a seat at rest at its home.

        Each event has the draw that it has in the night with these actions, else one of its own.
        Returns the copy after the night, and what ``step`` returned.
        """
        real, other = self._copy(), self._copy()
        fresh = FreshDraws(self.draws, self.n)
        real.step(actions, round1_signals)
        other.draw = lambda event: real.drawn[event] if event in real.drawn else fresh(event)
        resting = [list(action) for action in actions]
        resting[seat] = [self.homes[seat], 0, 0]
        return other, other.step(resting, round1_signals)

    def _copy(self):
        other = copy.copy(self)
        other.draws = copy.copy(self.draws)
        other.houses, other.progress = list(self.houses), list(self.progress)
        return other

    def _within_reach(self, seat, action):
        house, mode, signal = action
        home = self.homes[seat]
        limited = self.p["action_validity_mode"] == "adjacent_only"
        if limited and ring_distance(home, house, self.n) > 1:
            house = home
        return [house, mode, signal]

    def _put_out(self, workers):
        solo = np.float32(self.p["prob_solo_agent_extinguishes_fire"])
        for house in range(self.n):
            if self.houses[house] != BURNING:
                continue
            fails = np.float32(1)
            for _ in range(workers[house]):
                fails *= np.float32(1) - solo
            if self._below(np.float32(1) - fails, ("extinguish", house)):
                self.houses[house] = SAFE
        for house in range(self.n):
            if self.houses[house] == BURNING:
                self.houses[house] = RUINED

    def _wear_down(self, workers):
        rate = np.float32(self.p["suppression_per_worker"])
        for house in range(self.n):
            if self.houses[house] == BURNING and workers[house]:
                self.progress[house] += np.float32(workers[house]) * rate
                if self.progress[house] >= 1:
                    self.houses[house] = SAFE
                    self.progress[house] = np.float32(0)

    def _spread(self):
        start = list(self.houses)
        for house in range(self.n):
            if start[house] != BURNING:
                continue
            for way, step in (("left", -1), ("right", 1)):
                neighbour = (house + step) % self.n
                spreads = self.p["prob_fire_spreads_to_neighbor"]
                if start[neighbour] == SAFE and self._below(spreads, (way, house)):
                    self.houses[neighbour] = BURNING

    def _own(self, name, seat):
        value = self.p[name]
        return value[seat] if isinstance(value, list) else value

    def _reward(self, seat, before, workers):
        p, now = self.p, self.houses
        house, mode, _ = self.last_actions[seat]
        total = Sum()
        if mode:
            total.add(-p["cost_to_work_one_night"])
            total.add(-p["distance_cost_alpha"] * ring_distance(self.homes[seat], house, self.n))
        else:
            total.add(p["reward_rest"])
        for h in range(self.n):
            whose = "own" if h % self.num_agents == seat else "other"
            if before[h] != SAFE and now[h] == SAFE:
                total.add(self._own(f"reward_{whose}_house_survives", seat))
            if now[h] == RUINED:
                total.add(-self._own(f"penalty_{whose}_house_burns", seat))
        safe, ruined = now.count(SAFE), now.count(RUINED)
        total.add(p["team_reward_house_survives"] * safe / self.n)
        total.add(-p["team_penalty_house_burns"] * ruined / self.n)
        total.add(p["progress_shaping_coef"] * (safe - before.count(SAFE)))
        if mode and before[house] == BURNING and now[house] == SAFE:
            total.add(p["action_shaping_alpha"] / workers[house])
        if mode and before[house] == SAFE and now[house] == SAFE:
            total.add(p["action_shaping_beta"])
        if p["team_welfare_kind"] == "team_welfare_closed_form":
            after = 0.0 if self.done else self._potential(now)
            change = p["team_welfare_gamma"] * after - self._potential(before)
            size = abs(p["team_reward_house_survives"]) + 2 * abs(p["team_penalty_house_burns"])
            total.add(p["team_welfare_lambda"] * change, 2 * abs(p["team_welfare_lambda"]) * size)
        return total

    def _potential(self, houses):
        saved = self.p["team_reward_house_survives"] * houses.count(SAFE) / self.n
        lost = self.p["team_penalty_house_burns"] * houses.count(RUINED) / self.n
        risk = 0.5 * self.p["team_penalty_house_burns"] * houses.count(BURNING) / self.n
        return saved - lost - risk
