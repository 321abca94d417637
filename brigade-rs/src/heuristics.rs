//! Scripted agents, many seats at once, that act from observations alone.
//!
//! Promises: what a seat does depends on its observation, its parameters and the agents' own
//! random stream, and on nothing else; draws are made game by game and seat by seat, so the same
//! calls give the same actions.

use crate::error::{Invalid, Result};
use crate::named::ARCHETYPE_PARAMETERS;
use crate::observe::Layout;
use crate::rng::Pcg64;
use crate::rules::ACTION;
use crate::scenario::Scenario;

const HONESTY: usize = 0;
const WORK_TENDENCY: usize = 1;
const OWN_HOUSE_PRIORITY: usize = 3;
const REST_BIAS: usize = 8;

/// How the agents decide.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// By ten parameters: of one agent in every seat (10), of a team's seats (seats, 10), or of
    /// every row of observations (rows, 10).
    Archetype(Vec<f64>),
    /// Workers are spread over the fires: seat `a` works at burning house `a % fires`, and rests
    /// at its own house where none burns. Signals are true.
    Spread,
    /// Every action is as likely as any other.
    Random,
}

/// Agents for all seats of a scenario's games.
#[derive(Clone, Debug, PartialEq)]
pub struct Heuristics {
    layout: Layout,
    num_houses: usize,
    num_agents: usize,
    kind: Kind,
    rng: Pcg64,
}

impl Heuristics {
    /// Agents with a random stream of their own.
    pub fn new(scenario: &Scenario, num_agents: usize, kind: Kind, seed: u64) -> Result<Self> {
        let layout = Layout::new(scenario, num_agents)?;
        if let Kind::Archetype(parameters) = &kind {
            if parameters.is_empty() || parameters.len() % ARCHETYPE_PARAMETERS != 0 {
                return Err(Invalid::new(format!(
                    "parameters must be {ARCHETYPE_PARAMETERS} numbers for each agent"
                )));
            }
            let odd = parameters.iter().find(|p| !(0.0..=1.0).contains(*p));
            if let Some(odd) = odd {
                return Err(Invalid::new(format!(
                    "parameters must be numbers in [0, 1], not {odd}"
                )));
            }
        }
        Ok(Self {
            layout,
            num_houses: scenario.num_houses(),
            num_agents,
            kind,
            rng: Pcg64::new(seed),
        })
    }

    /// Seats in a game.
    pub fn num_agents(&self) -> usize {
        self.num_agents
    }

    /// Entries in one seat's observation.
    pub fn num_features(&self) -> usize {
        self.layout.num_features()
    }

    /// The actions of all seats, written in the order of the observations.
    ///
    /// `observations` (rows, features), `actions` (rows, 3). Refuses an observation that does not
    /// say which seat it is of; actions and the random stream are then left as they were.
    pub fn act(&mut self, observations: &[f32], actions: &mut [i32]) -> Result<()> {
        let features = self.num_features();
        let seats = observations.len() / features;
        if seats * features != observations.len() || actions.len() != seats * ACTION {
            return Err(Invalid::new("observations or actions have the wrong size"));
        }
        if let Kind::Archetype(parameters) = &self.kind {
            let given = parameters.len() / ARCHETYPE_PARAMETERS;
            let repeats = (given == 1 || given == self.num_agents) && seats.is_multiple_of(given);
            if given != seats && !repeats {
                return Err(Invalid::new(format!(
                    "parameters are for {given} seats, observations for {seats}"
                )));
            }
        }
        let rows = observations.chunks_exact(features);
        for (row, index) in rows.clone().zip(0..) {
            self.seat_of(row, index)?;
        }
        // Each row goes with its parameters, which come over and over where they are fewer.
        let none = [0.0; ARCHETYPE_PARAMETERS];
        let given = match &self.kind {
            Kind::Archetype(parameters) => parameters.as_slice(),
            Kind::Spread | Kind::Random => none.as_slice(),
        };
        let mut rng = self.rng.clone();
        let given = given.chunks_exact(ARCHETYPE_PARAMETERS).cycle();
        for (((row, action), given), index) in
            rows.zip(actions.chunks_exact_mut(ACTION)).zip(given).zip(0..)
        {
            let seat = self.seat_of(row, index)?;
            let (house, works, signal) = match self.kind {
                Kind::Archetype(_) => self.archetype(row, seat, given, &mut rng),
                Kind::Spread => self.spread(row, seat),
                Kind::Random => (rng.below(self.num_houses), rng.below(2) == 1, rng.below(2) == 1),
            };
            action.copy_from_slice(&[house as i32, i32::from(works), i32::from(signal)]);
        }
        self.rng = rng;
        Ok(())
    }

    fn seat_of(&self, row: &[f32], index: usize) -> Result<usize> {
        let hot = row[self.layout.seat.clone()].iter().position(|&x| x > 0.5);
        hot.ok_or_else(|| {
            Invalid::new(format!(
                "row {index} of the observations does not say which seat it is of"
            ))
        })
    }

    /// Burning houses, in index order.
    fn fires<'a>(&self, row: &'a [f32]) -> impl Iterator<Item = usize> + Clone + 'a {
        let houses = row[self.layout.houses.clone()].chunks_exact(3).enumerate();
        houses.filter(|(_, state)| state[1] > 0.5).map(|(house, _)| house)
    }

    fn archetype(
        &self,
        row: &[f32],
        seat: usize,
        given: &[f64],
        rng: &mut Pcg64,
    ) -> (usize, bool, bool) {
        let happens = |rng: &mut Pcg64, chance: f64| rng.draw() < chance as f32;
        let own = seat % self.num_houses;
        let works = happens(rng, given[WORK_TENDENCY] * (1.0 - given[REST_BIAS]));
        let fires = self.fires(row);
        let stays = |rng: &mut Pcg64| {
            !works
                || fires.clone().any(|fire| fire == own) && happens(rng, given[OWN_HOUSE_PRIORITY])
        };
        let house = if stays(rng) {
            own
        } else {
            match fires.clone().count() {
                0 => own,
                count => fires.clone().nth(rng.below(count)).unwrap_or(own),
            }
        };
        let honest = happens(rng, given[HONESTY]);
        (house, works, works == honest)
    }

    fn spread(&self, row: &[f32], seat: usize) -> (usize, bool, bool) {
        let fires = self.fires(row);
        match fires.clone().count() {
            0 => (seat % self.num_houses, false, false),
            count => (fires.clone().nth(seat % count).unwrap_or(0), true, true),
        }
    }

    /// The random stream, as bytes.
    pub fn to_bytes(&self) -> [u8; 32] {
        let (state, increment) = self.rng.parts();
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&state.to_le_bytes());
        bytes[16..].copy_from_slice(&increment.to_le_bytes());
        bytes
    }

    /// Puts the random stream where `to_bytes` was called.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<()> {
        let refused = || Invalid::new("this is not the state of heuristic agents");
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| refused())?;
        let number = |half: &[u8]| half.iter().rev().fold(0, |n, &b| n << 8 | u128::from(b));
        let rng = Pcg64::from_parts(number(&bytes[..16]), number(&bytes[16..]));
        self.rng = rng.ok_or_else(refused)?;
        Ok(())
    }
}
