//! The scenario: every parameter of the game, validated, with its default.
//!
//! The table below is the one source of the parameters' names, order, types, domains and
//! defaults; Python's keywords, the observation's parameter block and the JSON files follow it.
//! A `Scenario` that exists is valid; what depends on the team's size (lists with one entry per
//! seat) is checked when a game is made of it.

use crate::error::{Invalid, Result};
use crate::nearest::hint;
use crate::parameter::{
    ActionValidityMode, CommitmentMode, Domain, ExtinguishMode, Homes, Parameter, PerSeat,
    TeamWelfareKind, Value,
};

/// The largest ring, and the largest team: indices fit 32 bits many times over, and the
/// observations of one night still fit a large machine's memory.
pub const MOST: u32 = 65_536;

/// The name of a scenario that nobody named.
pub const CUSTOM: &str = "custom";

/// Rewards up to this size keep every sum of a game finite in 32-bit floats.
const REWARD: Domain = Domain::Between(-1e9, 1e9);

macro_rules! parameters {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr, $domain:expr;)*) => {
        /// A complete description of the game to play.
        #[derive(Clone, Debug)]
        pub struct Scenario {
            $($(#[$doc])* pub(crate) $name: $type,)*
            /// A label for people; not a parameter and not compared.
            pub name: String,
            /// A line for people; not a parameter and not compared.
            pub description: String,
        }

        /// The names of all parameters, in order.
        pub const PARAMETERS: &[&str] = &[$(stringify!($name)),*];

        impl Default for Scenario {
            fn default() -> Self {
                Self {
                    $($name: $default,)*
                    name: CUSTOM.to_owned(),
                    description: String::new(),
                }
            }
        }

        impl PartialEq for Scenario {
            fn eq(&self, other: &Self) -> bool {
                $(self.$name == other.$name)&&*
            }
        }

        impl Scenario {
            /// Reads one parameter, without the checks that need others.
            fn set(&mut self, name: &str, value: &Value) -> Result<()> {
                match name {
                    $(stringify!($name) => self.$name = <$type>::read(name, value, $domain)?,)*
                    _ => return Err(Invalid::new(format!(
                        "unknown scenario parameter {name:?}{}",
                        hint(name, PARAMETERS.iter().copied())
                    ))),
                }
                Ok(())
            }

            /// The parameter's value; `None` where there is no such parameter.
            pub fn get(&self, name: &str) -> Option<Value> {
                match name {
                    $(stringify!($name) => Some(self.$name.tell()),)*
                    _ => None,
                }
            }

            /// Name, domain and value of each parameter that is a number for a seat, in order.
            pub fn numbers(&self, seat: usize) -> Vec<(&'static str, Domain, f64)> {
                [$((stringify!($name), $domain, self.$name.number(seat)),)*]
                    .into_iter()
                    .filter_map(|(name, domain, number)| number.map(|x| (name, domain, x)))
                    .collect()
            }
        }
    };
}

parameters! {
    /// Houses on the ring.
    num_houses: u32 = 10, Domain::WholeBetween(2, MOST);
    /// The game lasts at least one night more than this.
    min_nights: u32 = 12, Domain::WholeBetween(0, 1_000_000_000);
    /// Chance that a safe house catches fire in a night, and that a house burns at the start.
    prob_house_catches_fire: f64 = 0.02, Domain::Probability;
    /// Chance that one worker puts a fire out (`bernoulli`).
    prob_solo_agent_extinguishes_fire: f64 = 0.5, Domain::Probability;
    /// Chance that a fire spreads to a safe neighbour (`continuous`).
    prob_fire_spreads_to_neighbor: f64 = 0.25, Domain::Probability;
    /// How fires go out.
    extinguish_mode: ExtinguishMode = ExtinguishMode::Bernoulli, Domain::OfType;
    /// Progress that one worker makes against a fire in a night (`continuous`); 1 puts it out.
    suppression_per_worker: f64 = 0.5, Domain::Between(0.0, 1e9);
    /// Whether seats signal before they act.
    commitment_mode: CommitmentMode = CommitmentMode::Simultaneous, Domain::OfType;
    /// Which houses a seat can reach.
    action_validity_mode: ActionValidityMode = ActionValidityMode::AlwaysValid, Domain::OfType;
    /// The home of each seat; by default seat `a` lives at house `a % num_houses`.
    agent_home_positions: Homes = Homes(None), Domain::WholeBetween(0, MOST - 1);
    /// Cost of working one night.
    cost_to_work_one_night: f64 = 0.5, REWARD;
    /// Cost of working, per step along the ring from home.
    distance_cost_alpha: f64 = 0.0, REWARD;
    /// Reward of resting one night.
    reward_rest: f64 = 0.5, REWARD;
    /// Reward of the owner when its house is saved from a fire.
    reward_own_house_survives: PerSeat = PerSeat::Same(20.0), REWARD;
    /// Reward of the others when a house is saved from a fire.
    reward_other_house_survives: PerSeat = PerSeat::Same(0.0), REWARD;
    /// Penalty of the owner for each night that its house is ruined.
    penalty_own_house_burns: PerSeat = PerSeat::Same(40.0), REWARD;
    /// Penalty of the others for each night that a house is ruined.
    penalty_other_house_burns: PerSeat = PerSeat::Same(0.0), REWARD;
    /// Reward of all, times the share of houses that are safe.
    team_reward_house_survives: f64 = 100.0, REWARD;
    /// Penalty of all, times the share of houses that are ruined.
    team_penalty_house_burns: f64 = 100.0, REWARD;
    /// Reward of all for each house more that is safe than the night before.
    progress_shaping_coef: f64 = 0.0, REWARD;
    /// Reward shared by the workers at a house that was saved.
    action_shaping_alpha: f64 = 0.0, REWARD;
    /// Reward of each worker at a house that was and stays safe.
    action_shaping_beta: f64 = 0.0, REWARD;
    /// Whether a team-welfare shaping term is paid.
    team_welfare_kind: TeamWelfareKind = TeamWelfareKind::None, Domain::OfType;
    /// Weight of the team-welfare term.
    team_welfare_lambda: f64 = 0.0, REWARD;
    /// Discount within the team-welfare term.
    team_welfare_gamma: f64 = 1.0, Domain::Between(0.0, 1.0);
}

impl Scenario {
    /// The scenario with these parameters instead; refuses unknown names and bad values.
    pub fn with<'a>(
        &self,
        changes: impl IntoIterator<Item = (&'a str, &'a Value)>,
    ) -> Result<Self> {
        let mut changed = self.clone();
        for (name, value) in changes {
            changed.set(name, value)?;
        }
        changed.check()?;
        Ok(changed)
    }

    /// What one parameter demands of another.
    fn check(&self) -> Result<()> {
        let homes = self.agent_home_positions.0.iter().flatten().enumerate();
        for (seat, &home) in homes {
            if home >= self.num_houses {
                return Err(Invalid::new(format!(
                    "agent_home_positions[{seat}] must be a house in [0, {}], not {home}",
                    self.num_houses - 1
                )));
            }
        }
        Ok(())
    }

    /// Refuses a team that the scenario's lists are not for.
    pub fn check_team(&self, num_agents: usize) -> Result<()> {
        if num_agents == 0 || num_agents > MOST as usize {
            return Err(Invalid::new(format!(
                "num_agents must be a whole number in [1, {MOST}], not {num_agents}"
            )));
        }
        let lists = [
            ("agent_home_positions", self.agent_home_positions.0.as_ref().map(Vec::len)),
            ("reward_own_house_survives", self.reward_own_house_survives.seats()),
            ("reward_other_house_survives", self.reward_other_house_survives.seats()),
            ("penalty_own_house_burns", self.penalty_own_house_burns.seats()),
            ("penalty_other_house_burns", self.penalty_other_house_burns.seats()),
        ];
        for (name, seats) in lists {
            if let Some(seats) = seats.filter(|&seats| seats != num_agents) {
                return Err(Invalid::new(format!(
                    "{name} must have one entry per seat: it has {seats}, the team {num_agents}"
                )));
            }
        }
        Ok(())
    }

    /// Whether a night takes two steps, a signal step and the actions'.
    pub fn two_phase(&self) -> bool {
        self.commitment_mode == CommitmentMode::TwoPhase
    }

    /// The ring's size.
    pub fn num_houses(&self) -> usize {
        self.num_houses as usize
    }

    /// A number that equal scenarios share, the same in every process and version of Rust.
    pub fn fingerprint(&self) -> u64 {
        // FNV-1a over the values' text: their shortest forms that read back as the same number.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for name in PARAMETERS {
            for byte in format!("{name}={:?};", self.get(name)).bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        hash
    }
}
