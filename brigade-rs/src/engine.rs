//! One game, played a night at a time.

use crate::bytes::{read_game, write_game, Header, Reader, Writer};
use crate::error::{Invalid, Result};
use crate::rng::Pcg64;
use crate::rules::{Rules, Scratch};
use crate::scenario::Scenario;
use crate::state::{Game, Games};

/// A game of a scenario for a team.
#[derive(Clone, Debug)]
pub struct Engine {
    scenario: Scenario,
    rules: Rules,
    /// One game.
    games: Games,
    scratch: Scratch,
}

impl PartialEq for Engine {
    fn eq(&self, other: &Self) -> bool {
        self.scenario == other.scenario && self.games == other.games
    }
}

impl Engine {
    /// A new game of this seed, ready for its first night.
    pub fn new(scenario: Scenario, num_agents: usize, seed: u64) -> Result<Self> {
        let rules = Rules::new(&scenario, num_agents)?;
        let games = Games::new(&[seed], rules.num_houses, num_agents)?;
        let scratch = rules.scratch();
        let mut engine = Self { scenario, rules, games, scratch };
        engine.reset(None);
        Ok(engine)
    }

    /// The game's scenario.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The game's rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// How the game stands.
    pub fn game(&self) -> Game<'_> {
        self.games.game(0)
    }

    /// Starts a new game: on the running random stream, or on that of a seed.
    pub fn reset(&mut self, seed: Option<u64>) {
        let mut game = self.games.game_mut(0);
        if let Some(seed) = seed {
            game.head.rng = Pcg64::new(seed);
        }
        self.rules.reset(&mut game);
    }

    /// Plays a night and writes every seat's reward; returns whether the game is over.
    ///
    /// `actions` (seats, 3): house, mode, signal. `round1_signals` (seats): in two-phase games,
    /// and only there.
    pub fn step(
        &mut self,
        actions: &[i32],
        round1_signals: Option<&[i32]>,
        rewards: &mut [f32],
    ) -> Result<bool> {
        if self.game().head.done {
            return Err(Invalid::new("the game is over: reset() starts the next one"));
        }
        self.rules.check_actions(actions)?;
        self.rules.check_round1(round1_signals)?;
        let mut game = self.games.game_mut(0);
        for (seat, &signal) in game.seats.iter_mut().zip(round1_signals.into_iter().flatten()) {
            seat.round1 = signal as u8;
        }
        self.rules.play(&mut game, actions, &mut self.scratch, rewards);
        Ok(game.head.done)
    }

    fn header(&self) -> Header {
        Header {
            kind: "game",
            scenario: self.scenario.fingerprint(),
            num_agents: self.rules.num_agents,
            games: 1,
        }
    }

    /// All that decides how the game goes on.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Writer::default();
        self.header().write(&mut bytes);
        write_game(&self.games, 0, &mut bytes);
        bytes.finish()
    }

    /// Puts the game where `to_bytes` was called; leaves it where it is if the bytes are bad.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<()> {
        let mut reader = Reader::new(bytes);
        self.header().expect(&mut reader)?;
        let mut games = self.games.clone();
        read_game(&mut games, 0, &self.rules, &mut reader)?;
        reader.finish()?;
        self.games = games;
        Ok(())
    }
}
