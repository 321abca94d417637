//! The state of many games, in a few arrays.
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

/// The part of a game's state that has the same size in every scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The game's random numbers.
    pub rng: Pcg64,
    /// Nights played since the reset.
    pub night: u32,
    /// Whether the game is over.
    pub done: bool,
}

/// What a seat did last; all 0 after a reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seat {
    /// Where it went.
    pub house: u32,
    /// 1 where it worked, 0 where it rested.
    pub mode: u8,
    /// What it signalled with its action.
    pub signal: u8,
    /// What it signalled before.
    pub round1: u8,
}

/// The state of many games.
#[derive(Clone, Debug, PartialEq)]
pub struct Games {
    num_houses: usize,
    num_agents: usize,
    /// (games)
    heads: Vec<Head>,
    /// (games, houses)
    houses: Vec<u8>,
    /// (games, houses)
    progress: Vec<f32>,
    /// (games, seats)
    seats: Vec<Seat>,
}

/// One game of [`Games`], to read.
#[derive(Clone, Copy, Debug)]
pub struct Game<'a> {
    /// What all games have.
    pub head: &'a Head,
    /// The state of each house. (houses)
    pub houses: &'a [u8],
    /// Progress against fires: in [0, 1), and above 0 only where a house burns. (houses)
    pub progress: &'a [f32],
    /// (seats)
    pub seats: &'a [Seat],
}

/// One game of [`Games`], to change.
#[derive(Debug)]
pub struct GameMut<'a> {
    /// What all games have.
    pub head: &'a mut Head,
    /// The state of each house. (houses)
    pub houses: &'a mut [u8],
    /// Progress against fires: in [0, 1), and above 0 only where a house burns. (houses)
    pub progress: &'a mut [f32],
    /// (seats)
    pub seats: &'a mut [Seat],
}

impl GameMut<'_> {
    /// Puts all but the houses and the random stream at its start.
    pub fn clear(&mut self) {
        self.head.night = 0;
        self.head.done = false;
        self.progress.fill(0.0);
        self.seats.fill(Seat::default());
    }
}

/// An array of zeros, or a refusal where memory does not suffice.
pub(crate) fn zeros<T: Clone + Default>(rows: usize, columns: usize) -> Result<Vec<T>> {
    let too_large = || {
        Invalid::new(format!("not enough memory for an array of {rows} times {columns} entries"))
    };
    let length = rows.checked_mul(columns).ok_or_else(too_large)?;
    let mut array = Vec::new();
    array.try_reserve_exact(length).map_err(|_| too_large())?;
    array.resize(length, T::default());
    Ok(array)
}

impl Games {
    /// Games with these random streams and everything else at its start, before the first draw.
    pub fn new(seeds: &[u64], num_houses: usize, num_agents: usize) -> Result<Self> {
        let head = |&seed: &u64| Head { rng: Pcg64::new(seed), night: 0, done: false };
        Ok(Self {
            num_houses,
            num_agents,
            heads: seeds.iter().map(head).collect(),
            houses: zeros(seeds.len(), num_houses)?,
            progress: zeros(seeds.len(), num_houses)?,
            seats: zeros(seeds.len(), num_agents)?,
        })
    }

    /// How many games.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Puts game `index` where a game of `other`, of the same sizes, stands.
    pub fn copy_game(&mut self, index: usize, other: Game<'_>) {
        let game = self.game_mut(index);
        game.head.clone_from(other.head);
        game.houses.copy_from_slice(other.houses);
        game.progress.copy_from_slice(other.progress);
        game.seats.copy_from_slice(other.seats);
    }

    /// Game `index`, to read.
    #[inline(always)]
    pub fn game(&self, index: usize) -> Game<'_> {
        let houses = index * self.num_houses..(index + 1) * self.num_houses;
        let seats = index * self.num_agents..(index + 1) * self.num_agents;
        Game {
            head: &self.heads[index],
            houses: &self.houses[houses.clone()],
            progress: &self.progress[houses],
            seats: &self.seats[seats],
        }
    }

    /// Game `index`, to change.
    #[inline(always)]
    pub fn game_mut(&mut self, index: usize) -> GameMut<'_> {
        let houses = index * self.num_houses..(index + 1) * self.num_houses;
        let seats = index * self.num_agents..(index + 1) * self.num_agents;
        GameMut {
            head: &mut self.heads[index],
            houses: &mut self.houses[houses.clone()],
            progress: &mut self.progress[houses],
            seats: &mut self.seats[seats],
        }
    }
}
