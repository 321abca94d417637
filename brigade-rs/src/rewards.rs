//! The rewards of a night.
//!
//! Every sum is made in 32-bit floats in the order of the rules: work, houses in index order,
//! team, action shaping, welfare.

use crate::parameter::{PerSeat, TeamWelfareKind};
use crate::rules::distance;
use crate::scenario::Scenario;
use crate::state::{Seat, BURNING, RUINED, SAFE};

/// How many houses are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By house state.
    of: [u32; 3],
}

impl Counts {
    /// Counts.
    #[inline]
    pub fn of(houses: &[u8]) -> Self {
        // A burning house is the lowest bit of its byte, a ruined one the next: a word of eight
        // houses is counted by adding its bytes.
        const LOWEST: u64 = 0x0101_0101_0101_0101;
        let added = |bits: u64| ((bits & LOWEST).wrapping_mul(LOWEST) >> 56) as u32;
        let (words, rest) = houses.as_chunks::<8>();
        let (mut burning, mut ruined) = (0, 0);
        for word in words {
            let word = u64::from_le_bytes(*word);
            burning += added(word);
            ruined += added(word >> 1);
        }
        for &house in rest {
            burning += u32::from(house & BURNING);
            ruined += u32::from(house >> 1);
        }
        Self { of: [houses.len() as u32 - burning - ruined, burning, ruined] }
    }

    fn safe(self) -> u32 {
        self.of[SAFE as usize]
    }

    fn burning(self) -> u32 {
        self.of[BURNING as usize]
    }

    fn ruined(self) -> u32 {
        self.of[RUINED as usize]
    }

    /// Whether all are safe or all are ruined.
    pub fn all_alike(self) -> bool {
        self.burning() == 0 && (self.safe() == 0 || self.ruined() == 0)
    }
}

/// What rewards are paid for.
#[derive(Clone, Copy, Debug)]
pub struct Night<'a> {
    /// The houses at its start. (houses)
    pub before: &'a [u8],
    /// The houses at its end. (houses)
    pub after: &'a [u8],
    /// Those of `before`, and of `after`.
    pub counts: (Counts, Counts),
    /// Houses that were saved or are ruined, in index order.
    pub paying: &'a [u32],
    /// Seats that worked, by house. (houses)
    pub workers: &'a [u32],
    /// (seats)
    pub seats: &'a [Seat],
    /// (seats)
    pub homes: &'a [u32],
    /// Whether the game ends with it.
    pub done: bool,
}

/// The reward terms of a scenario, compiled for a team.
#[derive(Clone, Debug)]
pub struct Rewards {
    num_houses: f32,
    work_cost: f32,
    distance_cost: f32,
    rest: f32,
    /// What a saved house brings each seat that owns it, and each that does not. (seats)
    saved: Stake,
    /// What a ruined house brings, as negative numbers. (seats)
    ruined: Stake,
    /// (houses)
    owners: Vec<u32>,
    team_safe: f32,
    team_ruined: f32,
    team_progress: f32,
    shape_saved: f32,
    shape_safe: f32,
    shapes_actions: bool,
    welfare: Option<(f32, f32)>,
}

#[derive(Clone, Debug)]
struct Stake {
    own: Vec<f32>,
    other: Vec<f32>,
    moves_others: bool,
}

impl Stake {
    fn new(num_agents: usize, sign: f64, own: &PerSeat, other: &PerSeat) -> Self {
        let seats = |values: &PerSeat| -> Vec<f32> {
            (0..num_agents).map(|seat| (sign * values.of(seat)) as f32).collect()
        };
        let (own, other) = (seats(own), seats(other));
        Self { moves_others: other.iter().any(|&x| x != 0.0), own, other }
    }
}

impl Rewards {
    /// Compiles the terms; the scenario's lists fit the team.
    pub fn new(scenario: &Scenario, num_agents: usize) -> Self {
        let welfare = scenario.team_welfare_kind == TeamWelfareKind::ClosedForm;
        let shapes = [scenario.action_shaping_alpha, scenario.action_shaping_beta];
        Self {
            num_houses: scenario.num_houses as f32,
            work_cost: scenario.cost_to_work_one_night as f32,
            distance_cost: scenario.distance_cost_alpha as f32,
            rest: scenario.reward_rest as f32,
            saved: Stake::new(
                num_agents,
                1.0,
                &scenario.reward_own_house_survives,
                &scenario.reward_other_house_survives,
            ),
            ruined: Stake::new(
                num_agents,
                -1.0,
                &scenario.penalty_own_house_burns,
                &scenario.penalty_other_house_burns,
            ),
            owners: (0..scenario.num_houses).map(|house| house % num_agents as u32).collect(),
            team_safe: scenario.team_reward_house_survives as f32,
            team_ruined: scenario.team_penalty_house_burns as f32,
            team_progress: scenario.progress_shaping_coef as f32,
            shape_saved: shapes[0] as f32,
            shape_safe: shapes[1] as f32,
            shapes_actions: shapes != [0.0, 0.0],
            welfare: welfare.then_some((
                scenario.team_welfare_lambda as f32,
                scenario.team_welfare_gamma as f32,
            )),
        }
    }

    /// Writes every seat's reward of the night. (seats)
    #[inline(always)] // Into each kind of night: as a call it costs a fiftieth of a step.
    pub fn pay(&self, night: &Night<'_>, rewards: &mut [f32]) {
        self.pay_work(night, rewards);
        self.pay_houses(night, rewards);
        let (then, now) = night.counts;
        let team = self.team(then, now);
        for reward in rewards.iter_mut() {
            *reward += team;
        }
        if self.shapes_actions {
            self.shape_actions(night, rewards);
        }
        if let Some((lambda, gamma)) = self.welfare {
            let after = if night.done { 0.0 } else { self.potential(now) };
            let welfare = lambda * (gamma * after - self.potential(then));
            for reward in rewards.iter_mut() {
                *reward += welfare;
            }
        }
    }

    fn pay_work(&self, night: &Night<'_>, rewards: &mut [f32]) {
        for ((reward, seat), &home) in rewards.iter_mut().zip(night.seats).zip(night.homes) {
            let steps = distance(home, seat.house, night.after.len()) as f32;
            let cost = self.work_cost + self.distance_cost * steps;
            *reward = if seat.mode == 1 { -cost } else { self.rest };
        }
    }

    fn pay_houses(&self, night: &Night<'_>, rewards: &mut [f32]) {
        for &house in night.paying {
            let house = house as usize;
            let stake = if night.after[house] == RUINED { &self.ruined } else { &self.saved };
            let owner = self.owners[house] as usize;
            let owned = rewards[owner] + stake.own[owner];
            // Adding zeros would change nothing but take time.
            if stake.moves_others {
                for (reward, other) in rewards.iter_mut().zip(&stake.other) {
                    *reward += other;
                }
            }
            rewards[owner] = owned;
        }
    }

    fn team(&self, before: Counts, now: Counts) -> f32 {
        let safe = now.safe() as f32;
        self.team_safe * (safe / self.num_houses)
            - self.team_ruined * (now.ruined() as f32 / self.num_houses)
            + self.team_progress * (safe - before.safe() as f32)
    }

    fn shape_actions(&self, night: &Night<'_>, rewards: &mut [f32]) {
        for (reward, seat) in rewards.iter_mut().zip(night.seats) {
            let house = seat.house as usize;
            if seat.mode == 1 && night.after[house] == SAFE {
                *reward += match night.before[house] {
                    BURNING => self.shape_saved / night.workers[house] as f32,
                    _ => self.shape_safe,
                };
            }
        }
    }

    /// The team's potential, whose change the welfare term pays.
    fn potential(&self, counts: Counts) -> f32 {
        let share = |count: u32| count as f32 / self.num_houses;
        self.team_safe * share(counts.safe())
            - self.team_ruined * share(counts.ruined())
            - 0.5 * self.team_ruined * share(counts.burning())
    }
}
