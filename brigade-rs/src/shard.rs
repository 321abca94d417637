//! The games of a batch that one thread plays, and the arrays they are written to.

use crate::draws::Draws;
use crate::error::{Invalid, Result};
use crate::observe::{Observer, Rows};
use crate::pool::Split;
use crate::rng::Pcg64;
use crate::rules::{Rules, Scratch, ACTION};
use crate::state::{zeros, Game, Games};

/// What all games of a batch share.
#[derive(Clone, Debug)]
pub struct Play {
    /// The rules.
    pub rules: Rules,
    /// What writes the observations.
    pub observer: Observer,
    /// Nights after which a game is cut off.
    pub max_cycles: u32,
}

/// How many entries one game has in the arrays.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// The team's size.
    pub num_agents: usize,
    /// Seats times features.
    pub observations: usize,
}

/// Whether games start anew.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// They stay where they are.
    No,
    /// On their running streams.
    Same,
    /// On the streams of these seeds. (games)
    Seeds(&'a [u64]),
}

/// Observations to write, perhaps of new games.
#[derive(Debug)]
pub struct Look<'a> {
    /// Whether to start anew first.
    pub start: Start<'a>,
    /// (games, seats, features)
    pub observations: &'a mut [f32],
}

/// One step: the actions, and the arrays that it writes.
#[derive(Debug)]
pub struct Step<'a> {
    /// House, mode, signal. (games, seats, 3)
    pub actions: &'a [i32],
    /// What follows; of the new game where one ended. (games, seats, features)
    pub observations: &'a mut [f32],
    /// (games, seats)
    pub rewards: &'a mut [f32],
    /// Whether the game ended by the rules. (games)
    pub terminated: &'a mut [bool],
    /// Whether the game was cut off. (games)
    pub truncated: &'a mut [bool],
    /// Written only where a game ended: what followed its last night. (games, seats, features)
    pub final_observations: &'a mut [f32],
    /// Sums of rewards of the game that was stepped. (games, seats)
    pub returns: &'a mut [f64],
    /// Its nights. (games)
    pub lengths: &'a mut [i32],
}

impl Step<'_> {
    /// Refuses arrays that are not for so many games.
    pub fn check(&self, games: usize, sizes: Sizes) -> Result<()> {
        let per_game = [
            ("actions", self.actions.len(), sizes.num_agents * ACTION),
            ("observations", self.observations.len(), sizes.observations),
            ("rewards", self.rewards.len(), sizes.num_agents),
            ("terminated", self.terminated.len(), 1),
            ("truncated", self.truncated.len(), 1),
            ("final_observations", self.final_observations.len(), sizes.observations),
            ("returns", self.returns.len(), sizes.num_agents),
            ("lengths", self.lengths.len(), 1),
        ];
        for (name, length, size) in per_game {
            if games.checked_mul(size) != Some(length) {
                return Err(Invalid::new(format!("{name} have the wrong size")));
            }
        }
        Ok(())
    }
}

impl Split for Step<'_> {
    fn split(self, games: usize, sizes: Sizes) -> (Self, Self) {
        let seats = games * sizes.num_agents;
        let entries = games * sizes.observations;
        let (actions, actions2) = self.actions.split_at(seats * ACTION);
        let (observations, observations2) = self.observations.split_at_mut(entries);
        let (rewards, rewards2) = self.rewards.split_at_mut(seats);
        let (terminated, terminated2) = self.terminated.split_at_mut(games);
        let (truncated, truncated2) = self.truncated.split_at_mut(games);
        let (finals, finals2) = self.final_observations.split_at_mut(entries);
        let (returns, returns2) = self.returns.split_at_mut(seats);
        let (lengths, lengths2) = self.lengths.split_at_mut(games);
        let first = Self {
            actions,
            observations,
            rewards,
            terminated,
            truncated,
            final_observations: finals,
            returns,
            lengths,
        };
        let second = Self {
            actions: actions2,
            observations: observations2,
            rewards: rewards2,
            terminated: terminated2,
            truncated: truncated2,
            final_observations: finals2,
            returns: returns2,
            lengths: lengths2,
        };
        (first, second)
    }
}

impl Split for Look<'_> {
    fn split(self, games: usize, sizes: Sizes) -> (Self, Self) {
        let (mine, others) = self.observations.split_at_mut(games * sizes.observations);
        let (start, start2) = match self.start {
            Start::Seeds(seeds) => {
                let (seeds, seeds2) = seeds.split_at(games);
                (Start::Seeds(seeds), Start::Seeds(seeds2))
            }
            same => (same, same),
        };
        (Self { start, observations: mine }, Self { start: start2, observations: others })
    }
}

/// What each seat would meet, did it take the default action in the coming step: arrays to write.
#[derive(Debug)]
pub struct DefaultOutcomes<'a> {
    /// What all seats are about to do. (games, seats, 3)
    pub actions: &'a [i32],
    /// What all seats would get. (games, the seat that rests, seats)
    pub rewards: &'a mut [f32],
    /// Whether the game would end by the rules. (games, seats)
    pub terminated: &'a mut [bool],
    /// Whether the seat's action makes a difference to the houses or the game's end.
    /// (games, seats)
    pub changed: &'a mut [bool],
    /// Written only where it does: what the seat would see. (games, seats, features)
    pub observations: &'a mut [f32],
}

impl DefaultOutcomes<'_> {
    /// Refuses arrays that are not for so many games.
    pub fn check(&self, games: usize, sizes: Sizes) -> Result<()> {
        let seats = sizes.num_agents;
        let per_game = [
            ("actions", self.actions.len(), seats * ACTION),
            ("rewards", self.rewards.len(), seats * seats),
            ("terminated", self.terminated.len(), seats),
            ("changed", self.changed.len(), seats),
            ("observations", self.observations.len(), sizes.observations),
        ];
        for (name, length, size) in per_game {
            if games.checked_mul(size) != Some(length) {
                return Err(Invalid::new(format!("{name} have the wrong size")));
            }
        }
        Ok(())
    }
}

impl Split for DefaultOutcomes<'_> {
    fn split(self, games: usize, sizes: Sizes) -> (Self, Self) {
        let seats = games * sizes.num_agents;
        let entries = games * sizes.observations;
        let (actions, actions2) = self.actions.split_at(seats * ACTION);
        let (rewards, rewards2) = self.rewards.split_at_mut(seats * sizes.num_agents);
        let (terminated, terminated2) = self.terminated.split_at_mut(seats);
        let (changed, changed2) = self.changed.split_at_mut(seats);
        let (observations, observations2) = self.observations.split_at_mut(entries);
        let first = Self { actions, rewards, terminated, changed, observations };
        let second = Self {
            actions: actions2,
            rewards: rewards2,
            terminated: terminated2,
            changed: changed2,
            observations: observations2,
        };
        (first, second)
    }
}

/// Some games of a batch, side by side.
#[derive(Clone, Debug)]
pub struct Shard {
    pub(crate) games: Games,
    /// Running sums of rewards. (games, seats)
    returns: Vec<f64>,
    num_agents: usize,
    scratch: Scratch,
    rows: Rows,
    /// One game each, to try out what would happen.
    trials: [Games; 2],
    /// What the coming night of one game draws.
    draws: Draws,
    /// (seats, 3)
    trial_actions: Vec<i32>,
}

impl Shard {
    /// New games of these seeds.
    pub fn new(play: &Play, seeds: &[u64]) -> Result<Self> {
        let rules = &play.rules;
        let num_agents = rules.num_agents;
        let one = || Games::new(&[0], rules.num_houses, num_agents);
        let mut shard = Self {
            games: Games::new(seeds, rules.num_houses, num_agents)?,
            returns: zeros(seeds.len(), num_agents)?,
            num_agents,
            scratch: rules.scratch(),
            rows: play.observer.rows()?,
            trials: [one()?, one()?],
            draws: Draws::new(rules.num_houses),
            trial_actions: zeros(num_agents, ACTION)?,
        };
        for game in 0..shard.len() {
            rules.reset(&mut shard.games.game_mut(game));
        }
        Ok(shard)
    }

    /// How many games.
    pub fn len(&self) -> usize {
        self.games.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.games.is_empty()
    }

    /// How game `index` stands.
    pub fn game(&self, index: usize) -> Game<'_> {
        self.games.game(index)
    }

    /// The running sums of rewards of game `index`. (seats)
    pub fn returns(&self, index: usize) -> &[f64] {
        &self.returns[index * self.num_agents..(index + 1) * self.num_agents]
    }

    /// The same, to change.
    pub fn returns_mut(&mut self, index: usize) -> &mut [f64] {
        &mut self.returns[index * self.num_agents..(index + 1) * self.num_agents]
    }

    /// Writes observations, perhaps of new games.
    pub fn look(&mut self, play: &Play, signalling: bool, look: Look<'_>) {
        let rows = look.observations.chunks_exact_mut(play.observer.size());
        for (index, row) in rows.enumerate() {
            let mut game = self.games.game_mut(index);
            if let Start::Seeds(seeds) = look.start {
                game.head.rng = Pcg64::new(seeds[index]);
            }
            if !matches!(look.start, Start::No) {
                play.rules.reset(&mut game);
                self.returns_mut(index).fill(0.0);
            }
            let game = self.games.game(index);
            play.observer.write(game, signalling, &mut self.rows, row);
        }
    }

    /// Puts game `index` into a state, and writes what its seats see.
    pub fn place(
        &mut self,
        play: &Play,
        index: usize,
        houses: &[u8],
        night: u32,
        observations: &mut [f32],
    ) {
        let mut game = self.games.game_mut(index);
        game.clear();
        game.head.night = night;
        game.houses.copy_from_slice(houses);
        self.returns_mut(index).fill(0.0);
        let game = self.games.game(index);
        play.observer.write(game, play.rules.two_phase, &mut self.rows, observations);
    }

    /// Tries out the coming night of all games, for each seat as if it rested at its home.
    ///
    /// Each event is decided by the draw that decides it in the coming night ([`Draws`]); where
    /// that draws nothing, by one of another stream, derived from the game's generator state. What
    /// others will see of the seat is what it does: only the houses, the rewards and the game's end
    /// show the difference. The games and their generators stay where they are.
    pub fn default_outcomes(&mut self, play: &Play, outcomes: DefaultOutcomes<'_>) {
        let Play { rules, observer, .. } = play;
        let seats = self.num_agents;
        let features = observer.size() / seats;
        let mut rewards = outcomes.rewards.chunks_exact_mut(seats);
        let mut rows = outcomes.observations.chunks_exact_mut(features);
        let mut marks = outcomes.terminated.iter_mut().zip(outcomes.changed.iter_mut());
        for (game, actions) in outcomes.actions.chunks_exact(seats * ACTION).enumerate() {
            let [planned, trial] = &mut self.trials;
            let (rewards, rows) = (rewards.by_ref(), rows.by_ref());
            let seats = rewards.zip(rows).zip(marks.by_ref()).take(seats).enumerate();
            for (seat, ((rewards, row), (terminated, changed))) in seats {
                if seat == 0 {
                    planned.copy_game(0, self.games.game(game));
                    let mut night = planned.game_mut(0);
                    self.draws.start(&night.head.rng);
                    let draw = |rng: &mut Pcg64, event| self.draws.draw(rng, event);
                    rules.play_with(&mut night, actions, &mut self.scratch, rewards, draw);
                }
                trial.copy_game(0, self.games.game(game));
                self.trial_actions.copy_from_slice(actions);
                let mine = seat * ACTION..(seat + 1) * ACTION;
                self.trial_actions[mine].copy_from_slice(&[rules.homes[seat] as i32, 0, 0]);
                let actions = &self.trial_actions;
                let mut other = trial.game_mut(0);
                let draw = |_: &mut Pcg64, event| self.draws.again(event);
                rules.play_with(&mut other, actions, &mut self.scratch, rewards, draw);
                other.seats.copy_from_slice(planned.game(0).seats);
                let (one, other) = (planned.game(0), trial.game(0));
                *terminated = other.head.done;
                *changed = one.head.done != other.head.done
                    || one.houses != other.houses
                    || one.progress != other.progress;
                if *changed {
                    observer.write_seats(other, rules.two_phase, &mut self.rows, seat, row);
                }
            }
        }
    }

    /// Tries out a signal step, in which no seat makes a difference to the houses.
    pub fn default_outcomes_of_signals(&mut self, outcomes: DefaultOutcomes<'_>) {
        outcomes.rewards.fill(0.0);
        outcomes.terminated.fill(false);
        outcomes.changed.fill(false);
    }

    /// Takes the round-1 signals of all games.
    pub fn signal(&mut self, play: &Play, step: Step<'_>) {
        step.rewards.fill(0.0);
        step.terminated.fill(false);
        step.truncated.fill(false);
        step.returns.copy_from_slice(&self.returns);
        let rows = step.observations.chunks_exact_mut(play.observer.size());
        let actions = step.actions.chunks_exact(self.num_agents * ACTION);
        for (index, (row, actions)) in rows.zip(actions).enumerate() {
            let game = self.games.game_mut(index);
            for (seat, action) in game.seats.iter_mut().zip(actions.chunks_exact(ACTION)) {
                seat.round1 = action[2] as u8;
            }
            step.lengths[index] = i32::try_from(game.head.night).unwrap_or(i32::MAX);
            let game = self.games.game(index);
            play.observer.write(game, false, &mut self.rows, row);
        }
    }

    /// Plays a night of all games.
    pub fn act(&mut self, play: &Play, step: Step<'_>) {
        let Play { rules, observer, max_cycles } = play;
        let seats = self.num_agents;
        let size = observer.size();
        let rows = step.observations.chunks_exact_mut(size);
        let actions = step.actions.chunks_exact(seats * ACTION);
        let rewards = step.rewards.chunks_exact_mut(seats);
        let totals = step.returns.chunks_exact_mut(seats).zip(self.returns.chunks_exact_mut(seats));
        let games = rows.zip(actions).zip(rewards).zip(totals).enumerate();
        for (index, (((row, actions), rewards), (told, total))) in games {
            let mut game = self.games.game_mut(index);
            rules.play(&mut game, actions, &mut self.scratch, rewards);
            for ((told, total), &reward) in told.iter_mut().zip(total.iter_mut()).zip(&*rewards) {
                *total += f64::from(reward);
                *told = *total;
            }
            let (terminated, night) = (game.head.done, game.head.night);
            let truncated = !terminated && night >= *max_cycles;
            step.lengths[index] = i32::try_from(night).unwrap_or(i32::MAX);
            step.terminated[index] = terminated;
            step.truncated[index] = truncated;
            if terminated || truncated {
                let last = &mut step.final_observations[index * size..(index + 1) * size];
                // As in every observation after a night, a two-phase game's next step is a signal.
                let ended = self.games.game(index);
                observer.write(ended, rules.two_phase, &mut self.rows, last);
                rules.reset(&mut self.games.game_mut(index));
                total.fill(0.0);
            }
            let game = self.games.game(index);
            observer.write(game, rules.two_phase, &mut self.rows, row);
        }
    }
}
