//! The rewards of a night.
//!
//! Every sum is made in 32-bit floats in the order of the rules: work, houses in index order,
//! team, action shaping, welfare.

use crate::parameter::TeamWelfareKind;
use crate::rules::distance;
use crate::scenario::Scenario;
use crate::state::{BURNING, RUINED, SAFE};

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
        let ruined: u32 = houses.iter().map(|&h| u32::from(h == RUINED)).sum();
        let safe: u32 = houses.iter().map(|&h| u32::from(h == SAFE)).sum();
        Self { of: [safe, houses.len() as u32 - safe - ruined, ruined] }
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
    /// Those of `after`.
    pub counts: Counts,
    /// Seats that worked, by house. (houses)
    pub workers: &'a [u32],
    /// (seats)
    pub positions: &'a [u32],
    /// (seats)
    pub modes: &'a [u8],
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
}

impl Rewards {
    /// Compiles the terms; the scenario's lists fit the team.
    pub fn new(scenario: &Scenario, num_agents: usize) -> Self {
        let seats = |number: &dyn Fn(usize) -> f64| -> Vec<f32> {
            (0..num_agents).map(|seat| number(seat) as f32).collect()
        };
        let welfare = scenario.team_welfare_kind == TeamWelfareKind::ClosedForm;
        let shapes = [scenario.action_shaping_alpha, scenario.action_shaping_beta];
        Self {
            num_houses: scenario.num_houses as f32,
            work_cost: scenario.cost_to_work_one_night as f32,
            distance_cost: scenario.distance_cost_alpha as f32,
            rest: scenario.reward_rest as f32,
            saved: Stake {
                own: seats(&|seat| scenario.reward_own_house_survives.of(seat)),
                other: seats(&|seat| scenario.reward_other_house_survives.of(seat)),
            },
            ruined: Stake {
                own: seats(&|seat| -scenario.penalty_own_house_burns.of(seat)),
                other: seats(&|seat| -scenario.penalty_other_house_burns.of(seat)),
            },
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
    pub fn pay(&self, night: &Night<'_>, rewards: &mut [f32]) {
        self.pay_work(night, rewards);
        self.pay_houses(night, rewards);
        let before = Counts::of(night.before);
        let team = self.team(before, night.counts);
        for reward in rewards.iter_mut() {
            *reward += team;
        }
        if self.shapes_actions {
            self.shape_actions(night, rewards);
        }
        if let Some((lambda, gamma)) = self.welfare {
            let now = if night.done { 0.0 } else { self.potential(night.counts) };
            let welfare = lambda * (gamma * now - self.potential(before));
            for reward in rewards.iter_mut() {
                *reward += welfare;
            }
        }
    }

    fn pay_work(&self, night: &Night<'_>, rewards: &mut [f32]) {
        let seats = night.modes.iter().zip(night.positions).zip(night.homes);
        for (reward, ((&mode, &house), &home)) in rewards.iter_mut().zip(seats) {
            let steps = distance(home, house, night.after.len()) as f32;
            let cost = self.work_cost + self.distance_cost * steps;
            *reward = if mode == 1 { -cost } else { self.rest };
        }
    }

    fn pay_houses(&self, night: &Night<'_>, rewards: &mut [f32]) {
        let num_agents = rewards.len();
        let mut owner = 0;
        for (&before, &after) in night.before.iter().zip(night.after) {
            let stake = match (before, after) {
                (_, RUINED) => Some(&self.ruined),
                (BURNING, SAFE) => Some(&self.saved),
                _ => None,
            };
            if let Some(stake) = stake {
                let owned = rewards[owner] + stake.own[owner];
                for (reward, other) in rewards.iter_mut().zip(&stake.other) {
                    *reward += other;
                }
                rewards[owner] = owned;
            }
            owner += 1;
            if owner == num_agents {
                owner = 0;
            }
        }
    }

    fn team(&self, before: Counts, now: Counts) -> f32 {
        let safe = now.safe() as f32;
        self.team_safe * (safe / self.num_houses)
            - self.team_ruined * (now.ruined() as f32 / self.num_houses)
            + self.team_progress * (safe - before.safe() as f32)
    }

    fn shape_actions(&self, night: &Night<'_>, rewards: &mut [f32]) {
        let seats = night.modes.iter().zip(night.positions);
        for (reward, (&mode, &house)) in rewards.iter_mut().zip(seats) {
            let house = house as usize;
            if mode == 1 && night.after[house] == SAFE {
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
