//! `Engine`: one game.

use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::arguments::{count, scenario as scenario_of, seed as seed_of, state as state_of};
use super::arrays::integers;
use super::scenario::PyScenario;
use crate::engine::Engine;
use crate::rules::ACTION;
use crate::scenario::MOST;

/// One game of a scenario, played a night at a time.
///
/// Two are equal when they would go on alike: same scenario, team, state and random stream.
/// A copy or a pickled game goes on exactly where it was.
#[pyclass(name = "Engine", module = "brigade._core")]
pub struct PyEngine {
    engine: Engine,
    scenario: Py<PyScenario>,
}

#[pymethods]
impl PyEngine {
    #[new]
    fn new(
        scenario: &Bound<'_, PyAny>,
        num_agents: &Bound<'_, PyAny>,
        seed: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let scenario = scenario_of(scenario)?;
        let num_agents = count("num_agents", num_agents, MOST)?;
        let engine = Engine::new(scenario.get().inner().clone(), num_agents, seed_of(seed)?)?;
        Ok(Self { engine, scenario: scenario.unbind() })
    }

    /// Start a new game: on the running random stream, or on that of a seed.
    #[pyo3(signature = (seed=None))]
    fn reset(&mut self, seed: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        self.engine.reset(seed.map(seed_of).transpose()?);
        Ok(())
    }

    /// Play a night; return every seat's reward, float32 [A], and whether the game is over.
    ///
    /// `actions` are integers [A, 3]: house, mode (0 rest, 1 work), signal. `round1_signals`,
    /// integers [A], are given in two-phase games and only there.
    #[pyo3(signature = (actions, round1_signals=None))]
    fn step<'py>(
        &mut self,
        py: Python<'py>,
        actions: &Bound<'py, PyAny>,
        round1_signals: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyArray1<f32>>, bool)> {
        let num_agents = self.engine.rules().num_agents;
        let actions = integers("actions", actions, &[num_agents, ACTION])?;
        let signals = |signals| integers("round1_signals", signals, &[num_agents]);
        let signals = round1_signals.map(signals).transpose()?;
        let mut rewards = vec![0.0; num_agents];
        let done = self.engine.step(&actions, signals.as_deref(), &mut rewards)?;
        Ok((rewards.into_pyarray(py), done))
    }

    /// All that decides how the game goes on.
    fn get_state<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.engine.to_bytes())
    }

    /// Put the game where `get_state` was called; bytes that are no such state are refused.
    fn set_state(&mut self, state: &Bound<'_, PyAny>) -> PyResult<()> {
        Ok(self.engine.restore(&state_of(state)?)?)
    }

    /// The game's scenario.
    #[getter]
    fn scenario(&self, py: Python<'_>) -> Py<PyScenario> {
        self.scenario.clone_ref(py)
    }

    /// The team's size.
    #[getter]
    fn num_agents(&self) -> usize {
        self.engine.rules().num_agents
    }

    /// Nights played since the reset.
    #[getter]
    fn night(&self) -> u32 {
        self.engine.game().head.night
    }

    /// Whether the game is over.
    #[getter]
    fn done(&self) -> bool {
        self.engine.game().head.done
    }

    /// State of each house: 0 safe, 1 burning, 2 ruined; int8 [N].
    #[getter]
    fn houses<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i8>> {
        small(py, self.engine.game().houses.iter().copied())
    }

    /// House of each seat last night; int32 [A].
    #[getter]
    fn positions<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i32>> {
        PyArray1::from_iter(py, self.engine.game().seats.iter().map(|seat| seat.house as i32))
    }

    /// Signal of each seat last night; int8 [A].
    #[getter]
    fn signals<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i8>> {
        small(py, self.engine.game().seats.iter().map(|seat| seat.signal))
    }

    /// House, mode and signal of each seat last night; int32 [A, 3].
    #[getter]
    fn last_actions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<i32>>> {
        let seats = self.engine.game().seats;
        let actions = seats
            .iter()
            .flat_map(|seat| [seat.house as i32, i32::from(seat.mode), i32::from(seat.signal)]);
        PyArray1::from_iter(py, actions).reshape([seats.len(), ACTION])
    }

    /// Round-1 signal of each seat, 0 where there are none; int8 [A].
    #[getter]
    fn round1_signals<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i8>> {
        small(py, self.engine.game().seats.iter().map(|seat| seat.round1))
    }

    /// Progress against each house's fire, in [0, 1); float32 [N].
    #[getter]
    fn fire_progress<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        PyArray1::from_slice(py, self.engine.game().progress)
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.engine == other.engine
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let scenario = self.scenario.bind(py).repr()?;
        let game = self.engine.game();
        Ok(format!(
            "<Engine of {} for {} agents, night {}{}>",
            scenario.to_string_lossy(),
            game.seats.len(),
            game.head.night,
            if game.head.done { ", over" } else { "" }
        ))
    }

    fn __copy__(&self, py: Python<'_>) -> Self {
        Self { engine: self.engine.clone(), scenario: self.scenario.clone_ref(py) }
    }

    fn __deepcopy__(&self, py: Python<'_>, memo: &Bound<'_, PyDict>) -> Self {
        let _ = memo;
        self.__copy__(py)
    }

    fn __getnewargs__(&self, py: Python<'_>) -> (Py<PyScenario>, usize, u64) {
        (self.scenario.clone_ref(py), self.num_agents(), 0)
    }

    fn __getstate__<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        self.get_state(py)
    }

    fn __setstate__(&mut self, state: &Bound<'_, PyAny>) -> PyResult<()> {
        self.set_state(state)
    }
}

fn small(py: Python<'_>, values: impl Iterator<Item = u8>) -> Bound<'_, PyArray1<i8>> {
    PyArray1::from_iter(py, values.map(|value| value as i8))
}
