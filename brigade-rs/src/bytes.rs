//! Games as bytes, and back.
//!
//! Promises: what is written is read back exactly, so that a game goes on where it was; whatever
//! else is read is refused with a sentence, and changes nothing. All numbers are little-endian.

use crate::error::{Invalid, Result};
use crate::rng::Pcg64;
use crate::rules::Rules;
use crate::state::{Games, BURNING, RUINED};

/// The bytes start with this; the last one is the version of the format.
const MAGIC: [u8; 8] = *b"brigade\x01";

/// Writes numbers one after the other.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Appends these bytes.
    pub fn put(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.extend_from_slice(bytes.as_ref());
    }

    /// All that was written.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads numbers one after the other.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Over these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next bytes.
    pub fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, tail) = self
            .0
            .split_first_chunk::<N>()
            .ok_or_else(|| Invalid::new("the state is too short"))?;
        self.0 = tail;
        Ok(*head)
    }

    /// Refuses what is left over.
    pub fn finish(self) -> Result<()> {
        match self.0.len() {
            0 => Ok(()),
            more => Err(Invalid::new(format!("the state has {more} bytes too many"))),
        }
    }
}

/// What the bytes are of; bytes of anything else are refused.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// The kind of object.
    pub kind: &'static str,
    /// The scenario's fingerprint.
    pub scenario: u64,
    /// The team's size.
    pub num_agents: usize,
    /// How many games.
    pub games: usize,
}

impl Header {
    fn kind_code(self) -> u64 {
        self.kind.bytes().fold(0, |code, b| code << 8 | u64::from(b))
    }

    /// Writes it.
    pub fn write(self, to: &mut Writer) {
        to.put(MAGIC);
        for number in [self.kind_code(), self.scenario, self.num_agents as u64, self.games as u64] {
            to.put(number.to_le_bytes());
        }
    }

    /// Reads one that must be equal.
    pub fn expect(self, from: &mut Reader<'_>) -> Result<()> {
        if from.take::<8>()? != MAGIC {
            return Err(Invalid::new("this is no state of brigade's, or another version's"));
        }
        let mut number = || from.take().map(u64::from_le_bytes);
        if number()? != self.kind_code() {
            return Err(Invalid::new(format!("this is not the state of a {}", self.kind)));
        }
        if number()? != self.scenario {
            return Err(Invalid::new("the state is of a game of another scenario"));
        }
        for (what, wanted) in [("agents", self.num_agents), ("games", self.games)] {
            let found = number()?;
            if found != wanted as u64 {
                return Err(Invalid::new(format!(
                    "the state is of {found} {what}, where {wanted} are wanted"
                )));
            }
        }
        Ok(())
    }
}

/// Writes game `index`.
pub fn write_game(games: &Games, index: usize, to: &mut Writer) {
    let game = games.game(index);
    let (state, increment) = game.head.rng.parts();
    to.put(state.to_le_bytes());
    to.put(increment.to_le_bytes());
    to.put(game.head.night.to_le_bytes());
    to.put(game.houses);
    for progress in game.progress {
        to.put(progress.to_le_bytes());
    }
    for seat in game.seats {
        to.put(seat.house.to_le_bytes());
        to.put([seat.mode, seat.signal, seat.round1]);
    }
}

/// Reads game `index`, checking that the rules can lead there.
pub fn read_game(
    games: &mut Games,
    index: usize,
    rules: &Rules,
    from: &mut Reader<'_>,
) -> Result<()> {
    let game = games.game_mut(index);
    let state = u128::from_le_bytes(from.take()?);
    let increment = u128::from_le_bytes(from.take()?);
    game.head.rng = Pcg64::from_parts(state, increment)
        .ok_or_else(|| Invalid::new("the state has an impossible random stream"))?;
    game.head.night = u32::from_le_bytes(from.take()?);
    for house in game.houses.iter_mut() {
        [*house] = from.take()?;
        if *house > RUINED {
            return Err(Invalid::new(format!("the state has a house of state {house}")));
        }
    }
    for (progress, &house) in game.progress.iter_mut().zip(game.houses.iter()) {
        *progress = f32::from_le_bytes(from.take()?);
        let most = if house == BURNING && rules.is_continuous() { 1.0 } else { 0.0 };
        let fits = *progress == 0.0 || (0.0..most).contains(progress);
        if !fits || progress.is_sign_negative() {
            return Err(Invalid::new(format!("the state has a fire progress of {progress}")));
        }
    }
    for seat in game.seats.iter_mut() {
        seat.house = u32::from_le_bytes(from.take()?);
        [seat.mode, seat.signal, seat.round1] = from.take()?;
        let most_round1 = u8::from(rules.two_phase);
        let fits = (seat.house as usize) < rules.num_houses
            && seat.mode <= 1
            && seat.signal <= 1
            && seat.round1 <= most_round1;
        if !fits {
            return Err(Invalid::new(format!("the state has an impossible {seat:?}")));
        }
    }
    game.head.done = rules.is_over(game.head.night, game.houses);
    Ok(())
}
