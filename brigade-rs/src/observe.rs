//! What a seat sees: one flat vector of 32-bit floats.
//!
//! Promises: [`Layout`] is the only place that knows where things are; every entry is finite and
//! within the bounds that [`Observer::bounds`] tells; a vector is written whole, whatever the
//! array held before.

use std::ops::Range;

use crate::error::Result;
use crate::parameter::Domain;
use crate::rules::Rules;
use crate::scenario::Scenario;
use crate::state::{zeros, Game};

/// A number `x` without natural limits is shown as `x / (|x| + SCALE)`.
const SCALE: f64 = 100.0;

/// Names and places of the blocks of an observation, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// One-hot state of each house: safe, burning, ruined.
    pub houses: Range<usize>,
    /// Progress against each fire.
    pub fire_progress: Range<usize>,
    /// Share of the team that worked at each house last night.
    pub workers: Range<usize>,
    /// 1 where this seat owns the house.
    pub owned: Range<usize>,
    /// One-hot home of this seat.
    pub home: Range<usize>,
    /// One-hot number of this seat.
    pub seat: Range<usize>,
    /// House of each seat last night, over the last house's index.
    pub positions: Range<usize>,
    /// Signal of each seat last night.
    pub signals: Range<usize>,
    /// Mode of each seat last night.
    pub last_modes: Range<usize>,
    /// Latest round-1 signal of each seat.
    pub round1_signals: Range<usize>,
    /// 1 in the signal step of a two-phase night.
    pub phase: Range<usize>,
    /// Nights played, scaled, and as a share of the least number of nights.
    pub night: Range<usize>,
    /// The scenario's parameters.
    pub parameters: Range<usize>,
}

impl Layout {
    /// The layout for a scenario and a team, which must fit each other.
    pub fn new(scenario: &Scenario, num_agents: usize) -> Result<Self> {
        scenario.check_team(num_agents)?;
        let num_houses = scenario.num_houses();
        let mut end = 0;
        let mut next = |length: usize| {
            let start = end;
            end += length;
            start..end
        };
        Ok(Self {
            houses: next(3 * num_houses),
            fire_progress: next(num_houses),
            workers: next(num_houses),
            owned: next(num_houses),
            home: next(num_houses),
            seat: next(num_agents),
            positions: next(num_agents),
            signals: next(num_agents),
            last_modes: next(num_agents),
            round1_signals: next(num_agents),
            phase: next(1),
            night: next(2),
            parameters: next(scenario.numbers(0).len()),
        })
    }

    /// Every block with its name, in order.
    pub fn blocks(&self) -> [(&'static str, Range<usize>); 13] {
        [
            ("houses", self.houses.clone()),
            ("fire_progress", self.fire_progress.clone()),
            ("workers", self.workers.clone()),
            ("owned", self.owned.clone()),
            ("home", self.home.clone()),
            ("seat", self.seat.clone()),
            ("positions", self.positions.clone()),
            ("signals", self.signals.clone()),
            ("last_modes", self.last_modes.clone()),
            ("round1_signals", self.round1_signals.clone()),
            ("phase", self.phase.clone()),
            ("night", self.night.clone()),
            ("parameters", self.parameters.clone()),
        ]
    }

    /// The observation's length.
    pub fn num_features(&self) -> usize {
        self.parameters.end
    }
}

/// Writes the observations of a scenario's games.
#[derive(Clone, Debug)]
pub struct Observer {
    layout: Layout,
    num_agents: usize,
    min_nights: u32,
    /// (seats)
    homes: Vec<u32>,
    /// Each seat's parameter block. (seats, parameters)
    parameters: Vec<f32>,
    low: Vec<f32>,
    /// `w` of the team's seats, as a share. (seats + 1)
    share: Vec<f32>,
    /// A house's index, scaled. (houses)
    place: Vec<f32>,
}

/// The observations of one game, kept so that observing allocates nothing: every seat's row has
/// what never changes (who it is, the parameters), the first also what is the same for all.
#[derive(Clone, Debug)]
pub struct Rows {
    /// (seats, features)
    rows: Vec<f32>,
    /// Seats that worked, by house. (houses)
    workers: Vec<u32>,
}

fn scaled(domain: Domain, x: f64) -> f32 {
    match domain {
        Domain::Probability | Domain::OfType => x as f32,
        Domain::Between(..) | Domain::WholeBetween(..) => (x / (x.abs() + SCALE)) as f32,
    }
}

impl Observer {
    /// For a scenario, compiled to `rules` for a team.
    pub fn new(scenario: &Scenario, rules: &Rules) -> Result<Self> {
        let (num_houses, num_agents) = (rules.num_houses, rules.num_agents);
        let layout = Layout::new(scenario, num_agents)?;
        let mut low = vec![0.0; layout.num_features()];
        for (low, (_, domain, _)) in
            low[layout.parameters.clone()].iter_mut().zip(scenario.numbers(0))
        {
            if matches!(domain, Domain::Between(least, _) if least < 0.0) {
                *low = -1.0;
            }
        }
        let block = |seat| scenario.numbers(seat).into_iter();
        let block = |seat| block(seat).map(|(_, domain, x)| scaled(domain, x));
        Ok(Self {
            num_agents,
            min_nights: rules.min_nights,
            homes: rules.homes.clone(),
            parameters: (0..num_agents).flat_map(block).collect(),
            low,
            share: (0..=num_agents).map(|w| w as f32 / num_agents as f32).collect(),
            place: (0..num_houses).map(|h| h as f32 / (num_houses - 1) as f32).collect(),
            layout,
        })
    }

    /// Where things are.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The least and the greatest value of each entry.
    pub fn bounds(&self) -> (Vec<f32>, Vec<f32>) {
        (self.low.clone(), vec![1.0; self.low.len()])
    }

    /// Entries in all observations of one game.
    pub fn size(&self) -> usize {
        self.num_agents * self.layout.num_features()
    }

    /// Room for one game at a time, or a refusal where memory does not suffice.
    pub fn rows(&self) -> Result<Rows> {
        let at = &self.layout;
        let mut rows: Vec<f32> = zeros(self.num_agents, at.num_features())?;
        let blocks = self.parameters.chunks_exact(at.parameters.len());
        let seats = rows.chunks_exact_mut(at.num_features()).zip(blocks).zip(&self.homes);
        for (seat, ((row, block), &home)) in seats.enumerate() {
            for owned in row[at.owned.clone()].iter_mut().skip(seat).step_by(self.num_agents) {
                *owned = 1.0;
            }
            row[at.home.start + home as usize] = 1.0;
            row[at.seat.start + seat] = 1.0;
            row[at.parameters.clone()].copy_from_slice(block);
        }
        Ok(Rows { rows, workers: vec![0; self.place.len()] })
    }

    /// Writes what every seat sees now. `signalling`: the next step is a signal step.
    /// (seats, features)
    #[inline]
    pub fn write(&self, game: Game<'_>, signalling: bool, kept: &mut Rows, out: &mut [f32]) {
        self.write_seats(game, signalling, kept, 0, out);
    }

    /// Writes what the seats from `first` on see, as many as there is room for.
    /// (some seats, features)
    #[inline]
    pub fn write_seats(
        &self,
        game: Game<'_>,
        signalling: bool,
        kept: &mut Rows,
        first: usize,
        out: &mut [f32],
    ) {
        let at = &self.layout;
        let Rows { rows, workers } = kept;
        self.see(game, signalling, &mut rows[..at.num_features()], workers);
        // Pieces of a few hundred bytes, each written once and in order: longer copies, or going
        // back to a row, cost twice as much where the array is larger than the caches.
        let (houses, own) = (0..at.workers.end, at.owned.start..at.seat.end);
        let (seats, parameters) = (at.positions.start..at.night.end, at.parameters.clone());
        let features = at.num_features();
        let own_rows = rows.chunks_exact(features).skip(first);
        for (out, row) in out.chunks_exact_mut(features).zip(own_rows) {
            out[houses.clone()].copy_from_slice(&rows[houses.clone()]);
            out[own.clone()].copy_from_slice(&row[own.clone()]);
            out[seats.clone()].copy_from_slice(&rows[seats.clone()]);
            out[parameters.clone()].copy_from_slice(&row[parameters.clone()]);
        }
    }

    /// Fills in what changes, which is the same for all seats.
    fn see(&self, game: Game<'_>, signalling: bool, row: &mut [f32], workers: &mut [u32]) {
        let at = &self.layout;
        for (hot, &house) in row[at.houses.clone()].chunks_exact_mut(3).zip(game.houses) {
            hot.copy_from_slice(
                &[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]][house as usize],
            );
        }
        row[at.fire_progress.clone()].copy_from_slice(game.progress);
        workers.fill(0);
        let blocks = &mut row[at.positions.start..at.round1_signals.end];
        let (places, blocks) = blocks.split_at_mut(game.seats.len());
        let (signals, blocks) = blocks.split_at_mut(game.seats.len());
        let (modes, round1) = blocks.split_at_mut(game.seats.len());
        for (index, seat) in game.seats.iter().enumerate() {
            workers[seat.house as usize] += u32::from(seat.mode);
            places[index] = self.place[seat.house as usize];
            signals[index] = f32::from(seat.signal);
            modes[index] = f32::from(seat.mode);
            round1[index] = f32::from(seat.round1);
        }
        for (share, &w) in row[at.workers.clone()].iter_mut().zip(workers.iter()) {
            *share = self.share[w as usize];
        }
        row[at.phase.start] = f32::from(u8::from(signalling));
        let night = game.head.night as f32;
        row[at.night.start] = night / (night + SCALE as f32);
        let least = self.min_nights.max(1);
        row[at.night.start + 1] = game.head.night.min(self.min_nights) as f32 / least as f32;
    }
}
