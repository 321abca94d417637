//! The state of many games, each field of all games in one array.
//!
//! One game is the case of one. The arrays are made once; playing allocates nothing, and
//! neighbouring games lie side by side in memory however many there are.

use crate::error::{Invalid, Result};
use crate::rng::Pcg64;

/// A house that does not burn.
pub const SAFE: u8 = 0;
/// A house on fire.
pub const BURNING: u8 = 1;
/// A house lost for the rest of the game.
pub const RUINED: u8 = 2;

/// The state of `rng.len()` games.
#[derive(Clone, Debug, PartialEq)]
pub struct Games {
    num_houses: usize,
    num_agents: usize,
    rng: Vec<Pcg64>,
    /// Nights played since the reset, per game.
    night: Vec<u32>,
    /// Whether the game is over, per game.
    done: Vec<bool>,
    /// (games, houses)
    houses: Vec<u8>,
    /// (games, houses): in [0, 1), and above 0 only where a house burns.
    progress: Vec<f32>,
    /// (games, seats)
    positions: Vec<u32>,
    /// (games, seats): 1 where the seat worked.
    modes: Vec<u8>,
    /// (games, seats)
    signals: Vec<u8>,
    /// (games, seats)
    round1: Vec<u8>,
}

/// One game of [`Games`], to read.
#[derive(Clone, Copy, Debug)]
pub struct Game<'a> {
    /// Its random numbers.
    pub rng: &'a Pcg64,
    /// Nights played since the reset.
    pub night: u32,
    /// Whether it is over.
    pub done: bool,
    /// (houses)
    pub houses: &'a [u8],
    /// (houses)
    pub progress: &'a [f32],
    /// (seats)
    pub positions: &'a [u32],
    /// (seats)
    pub modes: &'a [u8],
    /// (seats)
    pub signals: &'a [u8],
    /// (seats)
    pub round1: &'a [u8],
}

/// One game of [`Games`], to change.
#[derive(Debug)]
pub struct GameMut<'a> {
    /// Its random numbers.
    pub rng: &'a mut Pcg64,
    /// Nights played since the reset.
    pub night: &'a mut u32,
    /// Whether it is over.
    pub done: &'a mut bool,
    /// (houses)
    pub houses: &'a mut [u8],
    /// (houses)
    pub progress: &'a mut [f32],
    /// (seats)
    pub positions: &'a mut [u32],
    /// (seats)
    pub modes: &'a mut [u8],
    /// (seats)
    pub signals: &'a mut [u8],
    /// (seats)
    pub round1: &'a mut [u8],
}

/// An array of zeros, or a refusal where memory does not suffice.
pub(crate) fn zeros<T: Clone + Default>(rows: usize, columns: usize) -> Result<Vec<T>> {
    let too_large =
        || Invalid::new(format!("not enough memory for {rows} games of {columns} entries"));
    let length = rows.checked_mul(columns).ok_or_else(too_large)?;
    let mut array = Vec::new();
    array.try_reserve_exact(length).map_err(|_| too_large())?;
    array.resize(length, T::default());
    Ok(array)
}

impl Games {
    /// Games with these random streams and everything else at its start, before the first draw.
    pub fn new(rng: Vec<Pcg64>, num_houses: usize, num_agents: usize) -> Result<Self> {
        let games = rng.len();
        Ok(Self {
            num_houses,
            num_agents,
            rng,
            night: zeros(games, 1)?,
            done: zeros(games, 1)?,
            houses: zeros(games, num_houses)?,
            progress: zeros(games, num_houses)?,
            positions: zeros(games, num_agents)?,
            modes: zeros(games, num_agents)?,
            signals: zeros(games, num_agents)?,
            round1: zeros(games, num_agents)?,
        })
    }

    /// How many games.
    pub fn len(&self) -> usize {
        self.rng.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rng.is_empty()
    }

    /// Game `index`, to read.
    #[inline]
    pub fn game(&self, index: usize) -> Game<'_> {
        let houses = index * self.num_houses..(index + 1) * self.num_houses;
        let seats = index * self.num_agents..(index + 1) * self.num_agents;
        Game {
            rng: &self.rng[index],
            night: self.night[index],
            done: self.done[index],
            houses: &self.houses[houses.clone()],
            progress: &self.progress[houses],
            positions: &self.positions[seats.clone()],
            modes: &self.modes[seats.clone()],
            signals: &self.signals[seats.clone()],
            round1: &self.round1[seats],
        }
    }

    /// Game `index`, to change.
    #[inline]
    pub fn game_mut(&mut self, index: usize) -> GameMut<'_> {
        let houses = index * self.num_houses..(index + 1) * self.num_houses;
        let seats = index * self.num_agents..(index + 1) * self.num_agents;
        GameMut {
            rng: &mut self.rng[index],
            night: &mut self.night[index],
            done: &mut self.done[index],
            houses: &mut self.houses[houses.clone()],
            progress: &mut self.progress[houses],
            positions: &mut self.positions[seats.clone()],
            modes: &mut self.modes[seats.clone()],
            signals: &mut self.signals[seats.clone()],
            round1: &mut self.round1[seats],
        }
    }
}
