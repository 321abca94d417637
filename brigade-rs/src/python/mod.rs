//! The extension module `brigade._core`: the only part that knows of Python.
//!
//! Promises: whatever is given, an answer or a Python exception with a sentence comes back, never
//! a panic; the GIL is released while games are played; arrays that are written belong to the
//! caller and are not kept.

mod arguments;
mod arrays;
mod batch;
mod engine;
mod heuristics;
mod observation;
mod scenario;
mod values;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::Invalid;

impl From<Invalid> for PyErr {
    fn from(error: Invalid) -> Self {
        PyValueError::new_err(error.to_string())
    }
}

/// The compiled core of brigade: the game, batches of games, and heuristic agents.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    scenario::register(module)?;
    observation::register(module)?;
    heuristics::register(module)?;
    module.add_class::<engine::PyEngine>()?;
    module.add_class::<batch::PyBatch>()
}
