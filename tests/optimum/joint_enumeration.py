"""The game written out from its rules, house by house and seat by seat, for tiny games.

It shares nothing with `brigade.optimum`: states are whole rows of houses, actions whole teams'
actions, outcomes all combinations of draws, rewards each seat's own. Values come from plain value
iteration and from linear systems.
"""

import itertools

import numpy as np

SAFE, BURNING, RUINED = range(3)


class JointGame:
    """All states (night up to min_nights, houses), all team actions, all outcomes.

    Arrays: ``moves`` [states, actions, states] (chance that the game goes on there), ``ends``
    [states, actions], ``rewards`` [states, actions], mean per seat; ``start`` [states].
    """

    def __init__(self, scenario, num_agents):
        self.scenario = scenario
        self.num_agents = num_agents
        self.num_houses = scenario.num_houses
        seat_actions = list(itertools.product(range(self.num_houses), (0, 1)))
        self.actions = list(itertools.product(seat_actions, repeat=num_agents))
        rows = list(itertools.product(range(3), repeat=self.num_houses))
        nights = range(scenario.min_nights + 1)
        self.states = list(itertools.product(nights, rows))
        number = {state: index for index, state in enumerate(self.states)}
        shape = (len(self.states), len(self.actions))
        self.moves = np.zeros((*shape, len(self.states)))
        self.ends = np.zeros(shape)
        self.rewards = np.zeros(shape)
        for s, (night, houses) in enumerate(self.states):
            after = min(night + 1, scenario.min_nights)
            for a, action in enumerate(self.actions):
                for chance, left in self.outcomes(houses, action):
                    done = night >= scenario.min_nights and len(set(left)) == 1
                    done = done and left[0] != BURNING
                    seats = self.seat_rewards(houses, left, action, done)
                    self.rewards[s, a] += chance * np.mean(seats)
                    if done:
                        self.ends[s, a] += chance
                    else:
                        self.moves[s, a, number[after, left]] += chance
        self.start = np.zeros(len(self.states))
        p = scenario.prob_house_catches_fire
        for row in itertools.product((SAFE, BURNING), repeat=self.num_houses):
            chance = np.prod([p if house == BURNING else 1 - p for house in row])
            self.start[number[0, row]] = chance

    def workers(self, action, house):
        return sum(mode for target, mode in action if target == house)

    def outcomes(self, houses, action):
        s = self.scenario
        ignites = s.prob_house_catches_fire
        branches = []
        for index, house in enumerate(houses):
            solo = s.prob_solo_agent_extinguishes_fire
            out = 1 - (1 - solo) ** self.workers(action, index) if house == BURNING else 0.0
            safe = out if house == BURNING else float(house == SAFE)
            branches.append(
                [(safe * (1 - ignites), SAFE), (safe * ignites, BURNING), (1 - safe, RUINED)]
            )
        for combination in itertools.product(*branches):
            chance = np.prod([c for c, _ in combination])
            if chance > 0:
                yield chance, tuple(house for _, house in combination)

    def seat_rewards(self, before, after, action, done):
        s, n = self.scenario, self.num_houses

        def potential(houses):
            return (
                s.team_reward_house_survives * houses.count(SAFE) / n
                - s.team_penalty_house_burns * houses.count(RUINED) / n
                - 0.5 * s.team_penalty_house_burns * houses.count(BURNING) / n
            )

        team = (
            s.team_reward_house_survives * after.count(SAFE) / n
            - s.team_penalty_house_burns * after.count(RUINED) / n
            + s.progress_shaping_coef * (after.count(SAFE) - before.count(SAFE))
        )
        if s.team_welfare_kind != "none":
            now = 0.0 if done else potential(after)
            team += s.team_welfare_lambda * (s.team_welfare_gamma * now - potential(before))
        rewards = []
        for seat, (target, mode) in enumerate(action):

            def own(name, house, seat=seat):
                whose = "own" if house % self.num_agents == seat else "other"
                value = getattr(s, name.format(whose))
                return value[seat] if isinstance(value, list) else value

            reward = team + (-s.cost_to_work_one_night if mode else s.reward_rest)
            for house in range(n):
                if before[house] != SAFE and after[house] == SAFE:
                    reward += own("reward_{}_house_survives", house)
                if after[house] == RUINED:
                    reward -= own("penalty_{}_house_burns", house)
            if mode and before[target] == BURNING and after[target] == SAFE:
                reward += s.action_shaping_alpha / self.workers(action, target)
            if mode and before[target] == SAFE and after[target] == SAFE:
                reward += s.action_shaping_beta
            rewards.append(reward)
        return rewards

    def best_discounted(self, discount):
        values = np.zeros(len(self.states))
        while True:
            better = (self.rewards + discount * self.moves @ values).max(axis=1)
            if np.abs(better - values).max() < 1e-11:
                return float(self.start @ better)
            values = better

    def best_per_night(self):
        """Relative value iteration on games that follow each other; the team's sum."""
        values = np.zeros(len(self.states))
        while True:
            fresh = self.start @ values
            better = (self.rewards + self.moves @ values + self.ends * fresh).max(axis=1)
            change = better - values
            if np.ptp(change) < 1e-10:
                return self.num_agents * float(change.mean())
            values = values + 0.5 * (change - change.mean())  # halved: no cycles

    def value(self, chances, discount):
        """Discounted return and reward per night of a policy [states, actions]."""
        moves = np.einsum("sa,sat->st", chances, self.moves)
        rewards = np.einsum("sa,sa->s", chances, self.rewards)
        one = np.eye(len(self.states))
        # A state of ruins only cannot be seen before night 0 but would do no harm.
        discounted = np.linalg.solve(one - discount * moves, rewards)
        total = np.linalg.solve(one - moves, np.stack([rewards, np.ones_like(rewards)], axis=1))
        reward, nights = self.start @ total
        return float(self.start @ discounted), self.num_agents * float(reward / nights)

    def random_chances(self):
        return np.full(self.rewards.shape, 1 / len(self.actions))

    def scripted_chances(self, script):
        """Chances of a script: (night, houses) -> a team's action."""
        chances = np.zeros(self.rewards.shape)
        for s, (night, houses) in enumerate(self.states):
            chances[s, self.actions.index(script(night, houses))] = 1.0
        return chances
