//! `Scenario`, and the named ones.

use std::hash::{Hash, Hasher};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::arguments::{refuse, text};
use super::values::{object_of, value_of};
use crate::named::{named_scenario as find_named, scenarios};
use crate::parameter::Value;
use crate::scenario::{Scenario, CUSTOM, PARAMETERS};

/// What is appended to the name of a scenario whose parameters were changed.
const CHANGED: &str = " (changed)";

/// Every parameter of a game, checked, and never changed.
///
/// All parameters are keywords and have the defaults of the scenario "default". A name that is
/// not known, a wrong type or a value out of range is refused with a ValueError that names it.
/// `name` and `description` are labels for people and are not compared.
#[pyclass(name = "Scenario", module = "brigade._core", frozen)]
#[derive(Clone)]
pub struct PyScenario(Scenario);

impl From<Scenario> for PyScenario {
    fn from(scenario: Scenario) -> Self {
        Self(scenario)
    }
}

impl PyScenario {
    /// What it wraps.
    pub fn inner(&self) -> &Scenario {
        &self.0
    }
}

/// A label: text that shows as what it is, without control characters, ends of lines, and what
/// changes the direction of writing (Unicode's UAX #9).
fn label(name: &str, object: &Bound<'_, PyAny>) -> PyResult<String> {
    let label = text(name, object)?;
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2066}'..='\u{2069}')
    };
    match label.contains(hidden) {
        false => Ok(label),
        true => refuse(format!("{name} must have no control characters: {label:?}")),
    }
}

/// The scenario with these parameters and labels instead.
fn changed(base: &Scenario, changes: &Bound<'_, PyDict>) -> PyResult<Scenario> {
    let mut parameters: Vec<(String, Value)> = Vec::new();
    let (mut name, mut description) = (None, None);
    for (key, object) in changes {
        let key = key.cast::<PyString>()?.to_string_lossy().into_owned();
        match key.as_str() {
            "name" => name = Some(label("name", &object)?),
            "description" => description = Some(label("description", &object)?),
            _ => parameters.push((key, value_of(&object))),
        }
    }
    let mut scenario = base.with(parameters.iter().map(|(key, value)| (key.as_str(), value)))?;
    if scenario != *base {
        // It is no longer what its labels say, and says so.
        scenario.name = changed_name(&base.name);
        scenario.description = String::new();
    }
    scenario.name = name.unwrap_or(scenario.name);
    scenario.description = description.unwrap_or(scenario.description);
    Ok(scenario)
}

/// What a scenario is called that was another before some parameters changed.
fn changed_name(base: &str) -> String {
    if base == CUSTOM || base.ends_with(CHANGED) {
        base.to_owned()
    } else {
        format!("{base}{CHANGED}")
    }
}

#[pymethods]
impl PyScenario {
    #[new]
    #[pyo3(signature = (**parameters))]
    fn new(parameters: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let base = Scenario::default();
        parameters.map_or(Ok(base.clone()), |changes| changed(&base, changes)).map(Self)
    }

    /// The names of all parameters, in the order of the observation's parameter block.
    #[classattr]
    #[pyo3(name = "PARAMETERS")]
    fn parameters(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
        PyTuple::new(py, PARAMETERS)
    }

    /// A label for people.
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    /// A line for people.
    #[getter]
    fn description(&self) -> &str {
        &self.0.description
    }

    /// The scenario with some parameters or labels changed.
    ///
    /// A scenario whose parameters change has its name with " (changed)", unless one is given.
    #[pyo3(signature = (**changes))]
    fn replace(&self, changes: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        changes.map_or(Ok(self.0.clone()), |changes| changed(&self.0, changes)).map(Self)
    }

    /// All parameters by name, without the labels.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let parameters = PyDict::new(py);
        for name in PARAMETERS {
            parameters.set_item(name, self.value(py, name)?)?;
        }
        Ok(parameters)
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        self.0.fingerprint().hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let plain = Scenario::default();
        let mut parts = Vec::new();
        if self.0.name != plain.name {
            let name = PyString::new(py, &self.0.name);
            parts.push(format!("name={}", name.repr()?.to_string_lossy()));
        }
        for name in PARAMETERS {
            if self.0.get(name) != plain.get(name) {
                let value = self.value(py, name)?;
                parts.push(format!("{name}={}", value.bind(py).repr()?.to_string_lossy()));
            }
        }
        Ok(format!("Scenario({})", parts.join(", ")))
    }

    fn __getnewargs_ex__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let keywords = self.to_dict(py)?;
        keywords.set_item("name", &self.0.name)?;
        keywords.set_item("description", &self.0.description)?;
        Ok((PyTuple::empty(py), keywords))
    }
}

impl PyScenario {
    fn value(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        object_of(py, &self.0.get(name).unwrap_or(Value::Nothing))
    }
}

/// A read-only attribute for each parameter.
macro_rules! attributes {
    ($($name:ident)*) => {
        #[pymethods]
        impl PyScenario {
            $(#[getter]
            fn $name(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
                self.value(py, stringify!($name))
            })*
        }
    };
}

attributes! {
    num_houses
    min_nights
    prob_house_catches_fire
    prob_solo_agent_extinguishes_fire
    prob_fire_spreads_to_neighbor
    extinguish_mode
    suppression_per_worker
    commitment_mode
    action_validity_mode
    agent_home_positions
    cost_to_work_one_night
    distance_cost_alpha
    reward_rest
    reward_own_house_survives
    reward_other_house_survives
    penalty_own_house_burns
    penalty_other_house_burns
    team_reward_house_survives
    team_penalty_house_burns
    progress_shaping_coef
    action_shaping_alpha
    action_shaping_beta
    team_welfare_kind
    team_welfare_lambda
    team_welfare_gamma
}

/// The names of the named scenarios, in the file's order.
#[pyfunction]
fn scenario_names() -> Vec<String> {
    scenarios().iter().map(|scenario| scenario.name.clone()).collect()
}

/// The scenario of this name; a ValueError lists the known ones and the nearest.
#[pyfunction]
fn named_scenario(name: &Bound<'_, PyAny>) -> PyResult<PyScenario> {
    Ok(PyScenario(find_named(&text("name", name)?)?.clone()))
}

/// Adds this file's part of the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyScenario>()?;
    module.add_function(wrap_pyfunction!(scenario_names, module)?)?;
    module.add_function(wrap_pyfunction!(named_scenario, module)?)
}
