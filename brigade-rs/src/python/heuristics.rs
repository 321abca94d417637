//! `Heuristics`: scripted agents.

use numpy::{
    Ix2, Ix3, PyArray1, PyArray2, PyArray3, PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::arguments::{
    count, refuse, scenario as scenario_of, seed as seed_of, state as state_of, text,
};
use super::arrays::read;
use super::values::shown;
use crate::heuristics::{Heuristics, Kind};
use crate::named::{archetypes, ARCHETYPE_PARAMETERS};
use crate::nearest::hint;
use crate::rules::ACTION;
use crate::scenario::MOST;

const KINDS: [&str; 3] = ["archetype", "spread", "random"];

/// Scripted agents for all seats of a scenario's games, which act from observations alone.
///
/// `kind` "archetype" takes `parameters`, ten numbers in [0, 1] for each seat: float64 [A, 10],
/// or [B, A, 10] where games differ. "spread" sends seat a to burning house a % fires, "random"
/// draws every action alike.
#[pyclass(name = "Heuristics", module = "brigade._core")]
pub struct PyHeuristics(Heuristics);

/// An array of numbers whose shape fits, flat.
fn parameters_of(
    object: &Bound<'_, PyAny>,
    shapes: &str,
    fits: impl Fn(&[usize]) -> bool,
) -> PyResult<Vec<f64>> {
    let wanted = format!("parameters must be numbers of shape {shapes}");
    let keywords = PyDict::new(object.py());
    keywords.set_item("dtype", "float64")?;
    let numpy = object.py().import("numpy")?;
    let Ok(array) = numpy.call_method("asarray", (object,), Some(&keywords)) else {
        return refuse(format!("{wanted}, not {}", shown(object)));
    };
    let Ok(array) = array.cast_into::<PyArrayDyn<f64>>() else {
        return refuse(wanted);
    };
    if !fits(array.shape()) {
        return refuse(format!("{wanted}, not {:?}", array.shape()));
    }
    match array.try_readonly() {
        Ok(array) => Ok(array.as_array().iter().copied().collect()),
        Err(_) => refuse("parameters cannot be read: another call is writing to them".to_owned()),
    }
}

/// The kind of this name, which takes these parameters or none.
fn kind_of(
    kind: Option<&Bound<'_, PyAny>>,
    parameters: impl FnOnce() -> Option<PyResult<Vec<f64>>>,
) -> PyResult<Kind> {
    let name = kind.map_or(Ok(KINDS[0].to_owned()), |kind| text("kind", kind))?;
    match name.as_str() {
        "archetype" => match parameters() {
            Some(parameters) => Ok(Kind::Archetype(parameters?)),
            None => refuse("parameters are missing: kind \"archetype\" needs them".to_owned()),
        },
        "spread" => Ok(Kind::Spread),
        "random" => Ok(Kind::Random),
        _ => refuse(format!(
            "kind must be one of {}, not {}{}",
            KINDS.map(|kind| format!("{kind:?}")).join(", "),
            kind.map_or_else(String::new, shown),
            hint(&name, KINDS)
        )),
    }
}

#[pymethods]
impl PyHeuristics {
    #[new]
    #[pyo3(signature = (scenario, num_agents, parameters=None, seed=None, kind=None))]
    fn new(
        scenario: &Bound<'_, PyAny>,
        num_agents: &Bound<'_, PyAny>,
        parameters: Option<&Bound<'_, PyAny>>,
        seed: Option<&Bound<'_, PyAny>>,
        kind: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let scenario = scenario_of(scenario)?;
        let num_agents = count("num_agents", num_agents, MOST)?;
        let seed = seed.map_or(Ok(0), seed_of)?;
        let team = [num_agents, ARCHETYPE_PARAMETERS];
        let shapes = format!("{team:?} or [games, {num_agents}, {ARCHETYPE_PARAMETERS}]");
        let fits = |shape: &[usize]| matches!(shape.len(), 2 | 3) && shape.ends_with(&team);
        let kind = kind_of(kind, || parameters.map(|given| parameters_of(given, &shapes, fits)))?;
        Ok(Self(Heuristics::new(scenario.get().inner(), num_agents, kind, seed)?))
    }

    /// The actions of all seats, int32 [B, A, 3], a fresh array, for float32 [B, A, F].
    fn act<'py>(
        &mut self,
        py: Python<'py>,
        observations: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray3<i32>>> {
        let games = observations.len().unwrap_or(0);
        let shape = [games, self.0.num_agents(), self.0.num_features()];
        let observations = read::<f32, Ix3>("observations", observations, &shape)?;
        let Ok(rows) = observations.as_slice() else {
            return refuse("observations must be C-contiguous".to_owned());
        };
        let mut actions = vec![0; games * self.0.num_agents() * ACTION];
        py.detach(|| self.0.act(rows, &mut actions))?;
        PyArray1::from_vec(py, actions).reshape([games, self.0.num_agents(), ACTION])
    }

    /// The agents' random stream.
    fn get_state<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.to_bytes())
    }

    /// Put the random stream where `get_state` was called.
    fn set_state(&mut self, state: &Bound<'_, PyAny>) -> PyResult<()> {
        Ok(self.0.restore(&state_of(state)?)?)
    }
}

/// The actions, int32 [R, 3], of agents that see the rows of `observations`, float32 [R, F].
///
/// `parameters` are ten numbers, of every row or [R, 10], and only used by kind "archetype". All
/// randomness comes from `seed`.
#[pyfunction]
#[pyo3(signature = (scenario, num_agents, parameters, observations, seed, kind=None))]
fn heuristic_actions<'py>(
    py: Python<'py>,
    scenario: &Bound<'py, PyAny>,
    num_agents: &Bound<'py, PyAny>,
    parameters: Option<&Bound<'py, PyAny>>,
    observations: &Bound<'py, PyAny>,
    seed: &Bound<'py, PyAny>,
    kind: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<i32>>> {
    let scenario = scenario_of(scenario)?;
    let num_agents = count("num_agents", num_agents, MOST)?;
    let rows = observations.len().unwrap_or(0);
    let shapes = format!("[{ARCHETYPE_PARAMETERS}] or [{rows}, {ARCHETYPE_PARAMETERS}]");
    let fits =
        |shape: &[usize]| shape == [ARCHETYPE_PARAMETERS] || shape == [rows, ARCHETYPE_PARAMETERS];
    let kind = kind_of(kind, || parameters.map(|given| parameters_of(given, &shapes, fits)))?;
    let mut agents = Heuristics::new(scenario.get().inner(), num_agents, kind, seed_of(seed)?)?;
    let observations =
        read::<f32, Ix2>("observations", observations, &[rows, agents.num_features()])?;
    let Ok(observations) = observations.as_slice() else {
        return refuse("observations must be C-contiguous".to_owned());
    };
    let mut actions = vec![0; rows * ACTION];
    py.detach(|| agents.act(observations, &mut actions))?;
    PyArray1::from_vec(py, actions).reshape([rows, ACTION])
}

/// Adds this file's part of the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let by_name = PyDict::new(module.py());
    for (name, parameters) in archetypes() {
        by_name.set_item(name, parameters.to_vec())?;
    }
    module.add("ARCHETYPES", by_name)?;
    module.add_function(wrap_pyfunction!(heuristic_actions, module)?)?;
    module.add_class::<PyHeuristics>()
}
