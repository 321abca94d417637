//! Many games at once, each started anew as soon as it ends.
//!
//! Promises: game `b` goes exactly as an [`Engine`](crate::engine::Engine) of its seed would,
//! whatever the number of games and threads; nothing is stepped when any action is refused; one
//! thread allocates nothing while stepping.

use crate::bytes::{read_game, write_game, Header, Reader, Writer};
use crate::error::{Invalid, Result};
use crate::observe::Observer;
use crate::pool::{run, Pool};
use crate::rules::{Rules, ACTION};
use crate::scenario::Scenario;
use crate::shard::{DefaultOutcomes, Look, Play, Shard, Sizes, Start, Step};
use crate::state::{Game, RUINED};

/// The most threads that a batch may use.
pub const MOST_THREADS: usize = 1024;

/// Games of one scenario and team size.
#[derive(Debug)]
pub struct Batch {
    scenario: Scenario,
    play: Play,
    /// Whether the next step is a signal step; the same for all games, since all take two steps
    /// a night.
    signalling: bool,
    shards: Vec<Shard>,
    num_envs: usize,
    num_threads: usize,
    pool: Option<Pool>,
}

impl Batch {
    /// New games, one for each seed, ready for their first night. A game is cut off after
    /// `max_cycles` nights.
    pub fn new(
        scenario: Scenario,
        num_agents: usize,
        max_cycles: u32,
        seeds: &[u64],
        num_threads: usize,
    ) -> Result<Self> {
        let rules = Rules::new(&scenario, num_agents)?;
        let observer = Observer::new(&scenario, &rules)?;
        if seeds.is_empty() {
            return Err(Invalid::new("num_envs must be at least 1, not 0"));
        }
        if max_cycles == 0 || max_cycles > i32::MAX as u32 {
            let most = i32::MAX;
            return Err(Invalid::new(format!(
                "max_cycles must be a whole number in [1, {most}], not {max_cycles}"
            )));
        }
        if num_threads == 0 || num_threads > MOST_THREADS {
            return Err(Invalid::new(format!(
                "num_threads must be a whole number in [1, {MOST_THREADS}], not {num_threads}"
            )));
        }
        let play = Play { rules, observer, max_cycles };
        let count = num_threads.min(seeds.len());
        let shard = |i| {
            let part = i * seeds.len() / count..(i + 1) * seeds.len() / count;
            Shard::new(&play, &seeds[part])
        };
        Ok(Self {
            scenario,
            signalling: play.rules.two_phase,
            shards: (0..count).map(shard).collect::<Result<_>>()?,
            num_envs: seeds.len(),
            num_threads,
            pool: (count > 1).then(|| Pool::new(count)).transpose()?,
            play,
        })
    }

    /// The games' scenario.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// How many games.
    pub fn num_envs(&self) -> usize {
        self.num_envs
    }

    /// The team's size.
    pub fn num_agents(&self) -> usize {
        self.play.rules.num_agents
    }

    /// Nights after which a game is cut off.
    pub fn max_cycles(&self) -> u32 {
        self.play.max_cycles
    }

    /// The threads asked for.
    pub fn num_threads(&self) -> usize {
        self.num_threads
    }

    /// What writes the observations.
    pub fn observer(&self) -> &Observer {
        &self.play.observer
    }

    /// Whether the next step is a signal step.
    pub fn signalling(&self) -> bool {
        self.signalling
    }

    /// How every game stands, in order.
    pub fn games(&self) -> impl Iterator<Item = Game<'_>> {
        self.shards.iter().flat_map(|shard| (0..shard.len()).map(|i| shard.game(i)))
    }

    fn sizes(&self) -> Sizes {
        Sizes { num_agents: self.num_agents(), observations: self.play.observer.size() }
    }

    fn look(&mut self, start: Start<'_>, observations: &mut [f32]) -> Result<()> {
        let wanted = self.num_envs.checked_mul(self.play.observer.size());
        if wanted != Some(observations.len()) {
            return Err(Invalid::new("observations have the wrong size"));
        }
        let (play, sizes, signalling) = (&self.play, self.sizes(), self.signalling);
        let look = Look { start, observations };
        run(&mut self.pool, &mut self.shards, look, sizes, &|shard, look| {
            shard.look(play, signalling, look);
        });
        Ok(())
    }

    /// Writes what every seat sees now. (games, seats, features)
    pub fn write_observations(&mut self, observations: &mut [f32]) -> Result<()> {
        self.look(Start::No, observations)
    }

    /// Starts all games anew, on their running streams or on those of these seeds, and writes
    /// what every seat sees.
    pub fn reset(&mut self, seeds: Option<&[u64]>, observations: &mut [f32]) -> Result<()> {
        if let Some(seeds) = seeds.filter(|seeds| seeds.len() != self.num_envs) {
            return Err(Invalid::new(format!(
                "seeds must hold one for each of {} games, not {}",
                self.num_envs,
                seeds.len()
            )));
        }
        let before = self.signalling;
        self.signalling = self.play.rules.two_phase;
        let looked = self.look(seeds.map_or(Start::Same, Start::Seeds), observations);
        if looked.is_err() {
            self.signalling = before;
        }
        looked
    }

    /// Puts game `index` into a state of its houses at a night, everything else as after a reset,
    /// and writes what its seats see. Draws nothing.
    pub fn place(
        &mut self,
        index: usize,
        houses: &[u8],
        night: u32,
        observations: &mut [f32],
    ) -> Result<()> {
        let Play { rules, observer, max_cycles } = &self.play;
        if index >= self.num_envs {
            let most = self.num_envs - 1;
            return Err(Invalid::new(format!("game must be in [0, {most}], not {index}")));
        }
        if self.signalling != rules.two_phase {
            return Err(Invalid::new("a game can be placed between two nights, not within one"));
        }
        if houses.len() != rules.num_houses || observations.len() != observer.size() {
            return Err(Invalid::new("houses or observations have the wrong size"));
        }
        if let Some(house) = houses.iter().find(|&&house| house > RUINED) {
            return Err(Invalid::new(format!("a house's state is 0, 1 or 2, not {house}")));
        }
        if night >= *max_cycles {
            let most = max_cycles - 1;
            return Err(Invalid::new(format!("night must be in [0, {most}], not {night}")));
        }
        if rules.is_over(night, houses) {
            return Err(Invalid::new("a game with such houses is over at that night"));
        }
        let mut first = 0;
        for shard in &mut self.shards {
            if index < first + shard.len() {
                shard.place(&self.play, index - first, houses, night, observations);
                break;
            }
            first += shard.len();
        }
        Ok(())
    }

    /// Plays one step of every game, and starts those anew that it ends.
    pub fn step(&mut self, step: Step<'_>) -> Result<()> {
        step.check(self.num_envs, self.sizes())?;
        self.check_actions(step.actions)?;
        let (play, sizes, signalling) = (&self.play, self.sizes(), self.signalling);
        if signalling {
            run(&mut self.pool, &mut self.shards, step, sizes, &|shard, step| {
                shard.signal(play, step);
            });
        } else {
            run(&mut self.pool, &mut self.shards, step, sizes, &|shard, step| {
                shard.act(play, step);
            });
        }
        self.signalling = play.rules.two_phase && !signalling;
        Ok(())
    }

    /// Tries out the coming step for each seat as if that seat rested; plays nothing.
    pub fn default_outcomes(&mut self, outcomes: DefaultOutcomes<'_>) -> Result<()> {
        outcomes.check(self.num_envs, self.sizes())?;
        self.check_actions(outcomes.actions)?;
        let (play, sizes, signalling) = (&self.play, self.sizes(), self.signalling);
        run(&mut self.pool, &mut self.shards, outcomes, sizes, &|shard, outcomes| {
            if signalling {
                shard.default_outcomes_of_signals(outcomes);
            } else {
                shard.default_outcomes(play, outcomes);
            }
        });
        Ok(())
    }

    fn check_actions(&self, actions: &[i32]) -> Result<()> {
        if self.play.rules.actions_in_range(actions) {
            return Ok(());
        }
        let games = actions.chunks_exact(self.num_agents() * ACTION);
        for (env, actions) in games.enumerate() {
            let named = |error| Invalid::new(format!("game {env}, {error}"));
            self.play.rules.check_actions(actions).map_err(named)?;
        }
        Ok(())
    }

    fn header(&self) -> Header {
        Header {
            kind: "batch",
            scenario: self.scenario.fingerprint(),
            num_agents: self.num_agents(),
            games: self.num_envs,
        }
    }

    /// All that decides how the games go on, and their running returns.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Writer::default();
        self.header().write(&mut bytes);
        bytes.put([u8::from(self.signalling)]);
        for shard in &self.shards {
            for game in 0..shard.len() {
                write_game(&shard.games, game, &mut bytes);
                for total in shard.returns(game) {
                    bytes.put(total.to_le_bytes());
                }
            }
        }
        bytes.finish()
    }

    /// Puts the games where `to_bytes` was called; leaves them where they are if the bytes are
    /// bad. The number of threads may differ.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<()> {
        let mut reader = Reader::new(bytes);
        self.header().expect(&mut reader)?;
        let rules = &self.play.rules;
        let [signalling] = reader.take()?;
        if signalling > u8::from(rules.two_phase) {
            return Err(Invalid::new(format!("the state has a phase of {signalling}")));
        }
        let mut shards = self.shards.clone();
        for shard in &mut shards {
            for game in 0..shard.len() {
                read_game(&mut shard.games, game, rules, &mut reader)?;
                if shard.game(game).head.done {
                    return Err(Invalid::new("the state has a game that is over"));
                }
                for total in shard.returns_mut(game) {
                    *total = f64::from_le_bytes(reader.take()?);
                    if !total.is_finite() {
                        return Err(Invalid::new(format!("the state has a return of {total}")));
                    }
                }
            }
        }
        reader.finish()?;
        self.shards = shards;
        self.signalling = signalling == 1;
        Ok(())
    }

    /// A batch of the same games at the same place, with threads of its own.
    pub fn copy(&self) -> Result<Self> {
        let pool = self.pool.as_ref().map(|_| Pool::new(self.shards.len()));
        Ok(Self {
            scenario: self.scenario.clone(),
            play: self.play.clone(),
            shards: self.shards.clone(),
            pool: pool.transpose()?,
            ..*self
        })
    }
}
