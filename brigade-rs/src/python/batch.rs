//! `Batch`: many games.

use numpy::{Ix1, Ix2, Ix3, PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::arguments::{count, scenario as scenario_of, state as state_of, whole};
use super::arrays::{read, write};
use super::scenario::PyScenario;
use crate::batch::{Batch, MOST_THREADS};
use crate::error::Invalid;
use crate::rules::ACTION;
use crate::scenario::MOST;
use crate::shard::{DefaultOutcomes, Step};

/// Many games of one scenario and team, each started anew as soon as it ends.
///
/// Shapes: B games, A seats, F features. Arrays are the caller's, C-contiguous and of the types
/// given; they are written in place and not kept. Game b goes exactly as an Engine of its seed
/// would, however many games and threads there are.
#[pyclass(name = "Batch", module = "brigade._core")]
pub struct PyBatch {
    batch: Batch,
    scenario: Py<PyScenario>,
}

impl PyBatch {
    /// Shape of the observations.
    fn observations_shape(&self) -> [usize; 3] {
        let features = self.batch.observer().layout().num_features();
        [self.batch.num_envs(), self.batch.num_agents(), features]
    }
}

fn not_contiguous<E>(_: E) -> PyErr {
    // The arrays were checked to be contiguous already.
    Invalid::new("arrays must be C-contiguous").into()
}

#[pymethods]
impl PyBatch {
    #[new]
    #[pyo3(signature = (scenario, num_envs, num_agents, max_cycles, seeds, num_threads=None))]
    fn new(
        scenario: &Bound<'_, PyAny>,
        num_envs: &Bound<'_, PyAny>,
        num_agents: &Bound<'_, PyAny>,
        max_cycles: &Bound<'_, PyAny>,
        seeds: &Bound<'_, PyAny>,
        num_threads: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let scenario = scenario_of(scenario)?;
        let num_envs = count("num_envs", num_envs, u32::MAX)?;
        let num_agents = count("num_agents", num_agents, MOST)?;
        let max_cycles = count("max_cycles", max_cycles, i32::MAX as u32)? as u32;
        let threads = |threads| count("num_threads", threads, MOST_THREADS as u32);
        let threads = num_threads.map_or(Ok(1), threads)?;
        let seeds = read::<u64, Ix1>("seeds", seeds, &[num_envs])?;
        let seeds = seeds.as_slice().map_err(not_contiguous)?;
        let inner = scenario.get().inner().clone();
        let batch = Batch::new(inner, num_agents, max_cycles, seeds, threads)?;
        Ok(Self { batch, scenario: scenario.unbind() })
    }

    /// Write what every seat sees now into `out`, float32 [B, A, F].
    fn write_observations(&mut self, py: Python<'_>, out: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut out = write::<f32, Ix3>("out", out, &self.observations_shape())?;
        let out = out.as_slice_mut().map_err(not_contiguous)?;
        py.detach(|| self.batch.write_observations(out))?;
        Ok(())
    }

    /// Start all games anew and write what every seat sees into `observations`.
    ///
    /// Without `seeds` each game goes on with its own random stream; with them, uint64 [B], each
    /// starts the stream of its seed.
    fn reset(
        &mut self,
        py: Python<'_>,
        seeds: Option<&Bound<'_, PyAny>>,
        observations: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let seeds = seeds.map(|seeds| read::<u64, Ix1>("seeds", seeds, &[self.batch.num_envs()]));
        let seeds = seeds.transpose()?;
        let seeds = seeds.as_ref().map(|seeds| seeds.as_slice());
        let seeds = seeds.transpose().map_err(not_contiguous)?;
        let shape = self.observations_shape();
        let mut observations = write::<f32, Ix3>("observations", observations, &shape)?;
        let observations = observations.as_slice_mut().map_err(not_contiguous)?;
        py.detach(|| self.batch.reset(seeds, observations))?;
        Ok(())
    }

    /// Put game `game` into a state: `houses` int8 [N] at a night, everything else as after a
    /// reset. Writes what its seats see into `observations`, float32 [A, F]. Draws nothing.
    fn place(
        &mut self,
        game: &Bound<'_, PyAny>,
        houses: &Bound<'_, PyAny>,
        night: &Bound<'_, PyAny>,
        observations: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let game = whole("game", game, 0, self.batch.num_envs() as i128 - 1)? as usize;
        let night = whole("night", night, 0, i128::from(self.batch.max_cycles()) - 1)? as u32;
        let num_houses = self.batch.scenario().num_houses();
        let houses = read::<i8, Ix1>("houses", houses, &[num_houses])?;
        let houses = houses.as_slice().map_err(not_contiguous)?;
        // What is below 0 comes out far above 2, and is refused as such.
        let houses: Vec<u8> = houses.iter().map(|&house| house as u8).collect();
        let [_, seats, features] = self.observations_shape();
        let mut out = write::<f32, Ix2>("observations", observations, &[seats, features])?;
        let out = out.as_slice_mut().map_err(not_contiguous)?;
        self.batch.place(game, &houses, night, out)?;
        Ok(())
    }

    /// Play one step of every game, and start those anew that it ends.
    ///
    /// Reads `actions`, int32 [B, A, 3]: house, mode, signal. An action out of range is refused,
    /// and then nothing is stepped. Writes `observations` float32 [B, A, F], `rewards` float32
    /// [B, A], `terminated` and `truncated` bool [B], `final_observations` float32 [B, A, F]
    /// (only where a game ended), `returns` float64 [B, A] and `lengths` int32 [B].
    #[allow(clippy::too_many_arguments)] // The arrays of a step; a struct would be made anew each time.
    fn step(
        &mut self,
        py: Python<'_>,
        actions: &Bound<'_, PyAny>,
        observations: &Bound<'_, PyAny>,
        rewards: &Bound<'_, PyAny>,
        terminated: &Bound<'_, PyAny>,
        truncated: &Bound<'_, PyAny>,
        final_observations: &Bound<'_, PyAny>,
        returns: &Bound<'_, PyAny>,
        lengths: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let shape = self.observations_shape();
        let [games, seats, _] = shape;
        let actions = read::<i32, Ix3>("actions", actions, &[games, seats, ACTION])?;
        let mut observations = write::<f32, Ix3>("observations", observations, &shape)?;
        let mut rewards = write::<f32, Ix2>("rewards", rewards, &[games, seats])?;
        let mut terminated = write::<bool, Ix1>("terminated", terminated, &[games])?;
        let mut truncated = write::<bool, Ix1>("truncated", truncated, &[games])?;
        let mut finals = write::<f32, Ix3>("final_observations", final_observations, &shape)?;
        let mut returns = write::<f64, Ix2>("returns", returns, &[games, seats])?;
        let mut lengths = write::<i32, Ix1>("lengths", lengths, &[games])?;
        let step = Step {
            actions: actions.as_slice().map_err(not_contiguous)?,
            observations: observations.as_slice_mut().map_err(not_contiguous)?,
            rewards: rewards.as_slice_mut().map_err(not_contiguous)?,
            terminated: terminated.as_slice_mut().map_err(not_contiguous)?,
            truncated: truncated.as_slice_mut().map_err(not_contiguous)?,
            final_observations: finals.as_slice_mut().map_err(not_contiguous)?,
            returns: returns.as_slice_mut().map_err(not_contiguous)?,
            lengths: lengths.as_slice_mut().map_err(not_contiguous)?,
        };
        py.detach(|| self.batch.step(step))?;
        Ok(())
    }

    /// Try out the coming step for each seat as if that seat rested at its home.
    ///
    /// Reads `actions`, int32 [B, A, 3]. The others act as there, and no game is stepped. What
    /// happens to a house is decided by the draws that decide it in `step`; where that draws
    /// nothing, by draws of another stream, derived from the game's generator state. Writes what
    /// every seat would get into `rewards` float32 [B, A, A] (the resting seat first), whether the
    /// game would end by its rules into `terminated` bool [B, A], whether the seat's action makes
    /// a difference to the houses or the game's end into `changed` bool [B, A], and where it does,
    /// what that seat would see into `observations` float32 [B, A, F].
    fn default_outcomes(
        &mut self,
        py: Python<'_>,
        actions: &Bound<'_, PyAny>,
        rewards: &Bound<'_, PyAny>,
        terminated: &Bound<'_, PyAny>,
        changed: &Bound<'_, PyAny>,
        observations: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let shape = self.observations_shape();
        let [games, seats, _] = shape;
        let actions = read::<i32, Ix3>("actions", actions, &[games, seats, ACTION])?;
        let mut rewards = write::<f32, Ix3>("rewards", rewards, &[games, seats, seats])?;
        let mut terminated = write::<bool, Ix2>("terminated", terminated, &[games, seats])?;
        let mut changed = write::<bool, Ix2>("changed", changed, &[games, seats])?;
        let mut observations = write::<f32, Ix3>("observations", observations, &shape)?;
        let outcomes = DefaultOutcomes {
            actions: actions.as_slice().map_err(not_contiguous)?,
            rewards: rewards.as_slice_mut().map_err(not_contiguous)?,
            terminated: terminated.as_slice_mut().map_err(not_contiguous)?,
            changed: changed.as_slice_mut().map_err(not_contiguous)?,
            observations: observations.as_slice_mut().map_err(not_contiguous)?,
        };
        py.detach(|| self.batch.default_outcomes(outcomes))?;
        Ok(())
    }

    /// All that decides how the games go on, and their running returns.
    fn get_state<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.batch.to_bytes())
    }

    /// Put the games where `get_state` was called; bytes that are no such state are refused.
    fn set_state(&mut self, state: &Bound<'_, PyAny>) -> PyResult<()> {
        Ok(self.batch.restore(&state_of(state)?)?)
    }

    /// The games' scenario.
    #[getter]
    fn scenario(&self, py: Python<'_>) -> Py<PyScenario> {
        self.scenario.clone_ref(py)
    }

    /// How many games: B.
    #[getter]
    fn num_envs(&self) -> usize {
        self.batch.num_envs()
    }

    /// The team's size: A.
    #[getter]
    fn num_agents(&self) -> usize {
        self.batch.num_agents()
    }

    /// Nights after which a game is truncated.
    #[getter]
    fn max_cycles(&self) -> u32 {
        self.batch.max_cycles()
    }

    /// The threads asked for.
    #[getter]
    fn num_threads(&self) -> usize {
        self.batch.num_threads()
    }

    /// The length of an observation: F.
    #[getter]
    fn num_features(&self) -> usize {
        self.batch.observer().layout().num_features()
    }

    /// State of each house: 0 safe, 1 burning, 2 ruined; int8 [B, N], a copy.
    #[getter]
    fn houses<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<i8>>> {
        let shape = [self.batch.num_envs(), self.batch.scenario().num_houses()];
        let houses = self.batch.games().flat_map(|game| game.houses).map(|&house| house as i8);
        PyArray1::from_iter(py, houses).reshape(shape)
    }

    /// Nights played in each running game; int32 [B], a copy.
    #[getter]
    fn nights<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i32>> {
        PyArray1::from_iter(py, self.batch.games().map(|game| game.head.night as i32))
    }

    /// 1 where the next step is a signal step; int8 [B], a copy.
    #[getter]
    fn phases<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i8>> {
        let phase = i8::from(self.batch.signalling());
        PyArray1::from_vec(py, vec![phase; self.batch.num_envs()])
    }
}
