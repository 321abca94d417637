//! The observation's layout, size and bounds.

use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySlice, PyTuple};

use super::arguments::{count, scenario as scenario_of};
use crate::observe::{Layout, Observer};
use crate::rules::Rules;
use crate::scenario::{Scenario, MOST};

fn layout(scenario: &Bound<'_, PyAny>, num_agents: &Bound<'_, PyAny>) -> PyResult<Layout> {
    let num_agents = count("num_agents", num_agents, MOST)?;
    Ok(Layout::new(scenario_of(scenario)?.get().inner(), num_agents)?)
}

/// The slice of each block of an observation by name, in order.
#[pyfunction]
fn observation_layout<'py>(
    py: Python<'py>,
    scenario: &Bound<'py, PyAny>,
    num_agents: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
    let slices = PyDict::new(py);
    for (name, range) in layout(scenario, num_agents)?.blocks() {
        // PySlice::new would add a step of 1, and so compare unequal to slice(start, stop).
        slices.set_item(name, py.get_type::<PySlice>().call1((range.start, range.end))?)?;
    }
    Ok(slices)
}

/// The length of an observation.
#[pyfunction]
fn num_features(scenario: &Bound<'_, PyAny>, num_agents: &Bound<'_, PyAny>) -> PyResult<usize> {
    Ok(layout(scenario, num_agents)?.num_features())
}

type Bounds<'py> = (Bound<'py, PyArray1<f32>>, Bound<'py, PyArray1<f32>>);

/// The least and the greatest value of each entry of an observation: float32 [F] each.
#[pyfunction]
fn observation_bounds<'py>(
    py: Python<'py>,
    scenario: &Bound<'py, PyAny>,
    num_agents: &Bound<'py, PyAny>,
) -> PyResult<Bounds<'py>> {
    let num_agents = count("num_agents", num_agents, MOST)?;
    let scenario = scenario_of(scenario)?;
    let scenario = scenario.get().inner();
    let observer = Observer::new(scenario, &Rules::new(scenario, num_agents)?)?;
    let (low, high) = observer.bounds();
    Ok((low.into_pyarray(py), high.into_pyarray(py)))
}

/// Adds this file's part of the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let features = Scenario::default().numbers(0).into_iter().map(|(name, _, _)| name);
    let features: Vec<&str> = features.collect();
    module.add("PARAMETER_FEATURES", PyTuple::new(module.py(), features)?)?;
    module.add_function(wrap_pyfunction!(observation_layout, module)?)?;
    module.add_function(wrap_pyfunction!(num_features, module)?)?;
    module.add_function(wrap_pyfunction!(observation_bounds, module)?)
}
