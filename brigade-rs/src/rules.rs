//! The rules of one night, the reset, and the game's end.
//!
//! `Rules` is a scenario compiled for one team size: 32-bit floats, chances as whole numbers,
//! powers in a table. The order of draws and of float operations is part of the rules: it
//! decides the trajectory of every seed.

use crate::draws::Event;
use crate::error::{Invalid, Result};
use crate::parameter::{ActionValidityMode, ExtinguishMode};
use crate::rewards::{Counts, Night, Rewards};
use crate::rng::{Chance, Pcg64};
use crate::scenario::Scenario;
use crate::state::{GameMut, BURNING, RUINED, SAFE};

/// Entries of one seat's action: house, mode, signal.
pub const ACTION: usize = 3;

/// A scenario, compiled for a team.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The ring's size.
    pub num_houses: usize,
    /// The team's size.
    pub num_agents: usize,
    /// Whether every seat signals before the night.
    pub two_phase: bool,
    /// The least number of nights before the last.
    pub min_nights: u32,
    /// (seats)
    pub homes: Vec<u32>,
    ignite: Chance,
    spread: Chance,
    /// Chance that `w` workers put a fire out. (seats + 1)
    extinguish: Vec<Chance>,
    /// Progress that `w` workers make in a night. (seats + 1)
    progress: Vec<f32>,
    continuous: bool,
    adjacent_only: bool,
    rewards: Rewards,
}

/// What one night needs besides the game; kept so that playing allocates nothing.
#[derive(Clone, Debug)]
pub struct Scratch {
    /// The houses at the start of the night. (houses)
    before: Vec<u8>,
    /// The houses when spreading starts. (houses)
    burning: Vec<u8>,
    /// Seats that worked, by house. (houses)
    workers: Vec<u32>,
    /// Houses picked out, in index order. (houses)
    picked: Vec<u32>,
}

impl Rules {
    /// Compiles a scenario for a team, or refuses a team that its lists are not for.
    pub fn new(scenario: &Scenario, num_agents: usize) -> Result<Self> {
        scenario.check_team(num_agents)?;
        let num_houses = scenario.num_houses();
        let solo = scenario.prob_solo_agent_extinguishes_fire as f32;
        let workers = 0..=num_agents as i32;
        let extinguish = |w: i32| Chance::new(1.0 - (1.0 - solo).powi(w));
        let homes = match &scenario.agent_home_positions.0 {
            Some(homes) => homes.clone(),
            None => (0..num_agents).map(|a| (a % num_houses) as u32).collect(),
        };
        Ok(Self {
            num_houses,
            num_agents,
            two_phase: scenario.two_phase(),
            min_nights: scenario.min_nights,
            homes,
            ignite: Chance::new(scenario.prob_house_catches_fire as f32),
            spread: Chance::new(scenario.prob_fire_spreads_to_neighbor as f32),
            extinguish: workers.clone().map(extinguish).collect(),
            progress: workers.map(|w| w as f32 * scenario.suppression_per_worker as f32).collect(),
            continuous: scenario.extinguish_mode == ExtinguishMode::Continuous,
            adjacent_only: scenario.action_validity_mode == ActionValidityMode::AdjacentOnly,
            rewards: Rewards::new(scenario, num_agents),
        })
    }

    /// Room for one night at a time.
    pub fn scratch(&self) -> Scratch {
        Scratch {
            before: vec![SAFE; self.num_houses],
            burning: vec![SAFE; self.num_houses],
            workers: vec![0; self.num_houses],
            picked: vec![0; self.num_houses],
        }
    }

    /// Refuses the first entry of one game's actions that is out of range, or a wrong number.
    pub fn check_actions(&self, actions: &[i32]) -> Result<()> {
        let wanted = self.num_agents * ACTION;
        if actions.len() != wanted {
            return Err(Invalid::new(format!(
                "actions must hold [house, mode, signal] for {} seats: {wanted} numbers, not {}",
                self.num_agents,
                actions.len()
            )));
        }
        let limits = [("house", self.num_houses as i32), ("mode", 2), ("signal", 2)];
        for (seat, action) in actions.chunks_exact(ACTION).enumerate() {
            for (&value, (name, limit)) in action.iter().zip(limits) {
                if value < 0 || value >= limit {
                    return Err(Invalid::new(format!(
                        "seat {seat}: {name} must be in [0, {}], not {value}",
                        limit - 1
                    )));
                }
            }
        }
        Ok(())
    }

    /// Refuses round-1 signals that are missing, superfluous, too few or out of range.
    pub fn check_round1(&self, signals: Option<&[i32]>) -> Result<()> {
        let signals = match (signals, self.two_phase) {
            (Some(signals), true) => signals,
            (None, false) => return Ok(()),
            (None, true) => {
                return Err(Invalid::new(
                    "round1_signals are missing: in a two-phase game every seat gives one",
                ))
            }
            (Some(_), false) => {
                return Err(Invalid::new(
                    "round1_signals are only for two-phase games, and this is none",
                ))
            }
        };
        if signals.len() != self.num_agents {
            return Err(Invalid::new(format!(
                "round1_signals must hold one signal for each of {} seats, not {}",
                self.num_agents,
                signals.len()
            )));
        }
        match signals.iter().position(|signal| !(0..2).contains(signal)) {
            None => Ok(()),
            Some(seat) => Err(Invalid::new(format!(
                "seat {seat}: round-1 signal must be in [0, 1], not {}",
                signals[seat]
            ))),
        }
    }

    /// Whether fires are worn down rather than put out or lost.
    pub fn is_continuous(&self) -> bool {
        self.continuous
    }

    /// Whether all actions of any number of games are in range; cheaper than saying which.
    pub fn actions_in_range(&self, actions: &[i32]) -> bool {
        let houses = self.num_houses as u32;
        // Without an early exit this is a stream of vector comparisons. A negative number is
        // a huge unsigned one.
        !actions.chunks_exact(ACTION).fold(false, |bad, action| {
            bad | (action[0] as u32 >= houses) | (action[1] as u32 | action[2] as u32 > 1)
        })
    }

    /// Starts a new game on the game's own stream.
    pub fn reset(&self, game: &mut GameMut<'_>) {
        game.clear();
        for house in game.houses.iter_mut() {
            *house = if game.head.rng.happens(self.ignite) { BURNING } else { SAFE };
        }
    }

    /// Plays a night with actions that are in range, and writes every seat's reward.
    ///
    /// In a two-phase game the round-1 signals are in the game already.
    pub fn play(
        &self,
        game: &mut GameMut<'_>,
        actions: &[i32],
        scratch: &mut Scratch,
        rewards: &mut [f32],
    ) {
        self.play_with(game, actions, scratch, rewards, |rng, _| rng.draw_bits());
    }

    /// Plays a night whose draws, whole numbers below 2^24, come from `draw`.
    ///
    /// It is given the game's own stream and what the draw decides.
    pub fn play_with(
        &self,
        game: &mut GameMut<'_>,
        actions: &[i32],
        scratch: &mut Scratch,
        rewards: &mut [f32],
        mut draw: impl FnMut(&mut Pcg64, Event) -> u32,
    ) {
        let Scratch { before, burning, workers, picked } = scratch;
        before.copy_from_slice(game.houses);
        self.record(game, actions, workers);
        if self.continuous {
            self.wear_down(game, workers);
            burning.copy_from_slice(game.houses);
            self.spread(game, burning, &mut draw);
        } else {
            self.extinguish(game, workers, picked, &mut draw);
        }
        let safe = pick(picked, game.houses.iter().map(|&house| house == SAFE));
        for &house in safe {
            let house = house as usize;
            let draw = draw(&mut game.head.rng, Event::Ignite(house));
            game.houses[house] = u8::from(self.ignite.is_above(draw));
        }
        let (then, now) = (Counts::of(before), Counts::of(game.houses));
        game.head.done = game.head.night >= self.min_nights && now.all_alike();
        let pays = |(&was, &is): (&u8, &u8)| is == RUINED || was == BURNING && is == SAFE;
        let night = Night {
            before,
            after: game.houses,
            counts: (then, now),
            paying: pick(picked, before.iter().zip(game.houses.iter()).map(pays)),
            workers,
            seats: game.seats,
            homes: &self.homes,
            done: game.head.done,
        };
        self.rewards.pay(&night, rewards);
        game.head.night = game.head.night.saturating_add(1);
    }

    /// Whether a game that stands so after a night, or at its start, is over.
    pub fn is_over(&self, night: u32, houses: &[u8]) -> bool {
        night > self.min_nights && Counts::of(houses).all_alike()
    }

    /// Takes the actions over into the game, brought within reach, and counts the workers.
    fn record(&self, game: &mut GameMut<'_>, actions: &[i32], workers: &mut [u32]) {
        workers.fill(0);
        let actions = actions.chunks_exact(ACTION).zip(&self.homes);
        for (seat, (action, &home)) in game.seats.iter_mut().zip(actions) {
            let mut house = action[0] as u32;
            if self.adjacent_only && distance(home, house, self.num_houses) > 1 {
                house = home;
            }
            workers[house as usize] += action[1] as u32;
            seat.house = house;
            seat.mode = action[1] as u8;
            seat.signal = action[2] as u8;
        }
    }

    /// `bernoulli`: each fire is put out, or its house is lost.
    fn extinguish(
        &self,
        game: &mut GameMut<'_>,
        workers: &[u32],
        picked: &mut [u32],
        draw: &mut impl FnMut(&mut Pcg64, Event) -> u32,
    ) {
        for &house in pick(picked, game.houses.iter().map(|&house| house == BURNING)) {
            let house = house as usize;
            let draw = draw(&mut game.head.rng, Event::Extinguish(house));
            let out = self.extinguish[workers[house] as usize].is_above(draw);
            game.houses[house] = if out { SAFE } else { RUINED };
        }
    }

    /// `continuous`: workers wear the fires down.
    fn wear_down(&self, game: &mut GameMut<'_>, workers: &[u32]) {
        let progress = game.progress.iter_mut();
        for ((house, progress), &w) in game.houses.iter_mut().zip(progress).zip(workers) {
            if *house == BURNING && w > 0 {
                *progress += self.progress[w as usize];
                if *progress >= 1.0 {
                    *house = SAFE;
                    *progress = 0.0;
                }
            }
        }
    }

    /// `continuous`: each fire may spread left, then right. (`bernoulli` leaves no fire by now.)
    fn spread(
        &self,
        game: &mut GameMut<'_>,
        burning: &[u8],
        draw: &mut impl FnMut(&mut Pcg64, Event) -> u32,
    ) {
        let last = self.num_houses - 1;
        for (house, _) in burning.iter().enumerate().filter(|(_, &h)| h == BURNING) {
            let left = if house == 0 { last } else { house - 1 };
            let right = if house == last { 0 } else { house + 1 };
            let ways = [(left, Event::SpreadLeft(house)), (right, Event::SpreadRight(house))];
            for (neighbour, event) in ways {
                if burning[neighbour] == SAFE
                    && self.spread.is_above(draw(&mut game.head.rng, event))
                {
                    game.houses[neighbour] = BURNING;
                }
            }
        }
    }
}

/// Writes the indices of the houses that are wanted into `picked`, in order, and gives them.
///
/// Which houses burn or are safe is as good as random to the processor: a list that is made
/// without branches, and then followed, is much faster than a branch per house.
#[inline(always)]
fn pick(picked: &mut [u32], wanted: impl Iterator<Item = bool>) -> &[u32] {
    let mut count = 0;
    for (index, wanted) in (0..).zip(wanted) {
        picked[count] = index;
        count += usize::from(wanted);
    }
    &picked[..count]
}

/// Steps along the ring between two houses.
#[inline]
pub fn distance(from: u32, to: u32, num_houses: usize) -> u32 {
    let apart = from.abs_diff(to);
    apart.min(num_houses as u32 - apart)
}
