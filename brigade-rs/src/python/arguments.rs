//! Plain arguments: whole numbers, texts, bytes, scenarios.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyString};

use super::scenario::PyScenario;
use super::values::{is_bool, shown};
use crate::named::named_scenario;

/// A refusal.
pub fn refuse<T>(sentence: String) -> PyResult<T> {
    Err(PyValueError::new_err(sentence))
}

/// A whole number in `[low, high]`; truth values and floats are none.
pub fn whole(name: &str, object: &Bound<'_, PyAny>, low: i128, high: i128) -> PyResult<i128> {
    // As Python's own integer first: NumPy 1's unsigned scalars cannot be taken apart by shifts.
    let index = if is_bool(object) { None } else { object.call_method0("__index__").ok() };
    let number = index.and_then(|index| index.extract::<i128>().ok());
    match number.filter(|number| (low..=high).contains(number)) {
        Some(number) => Ok(number),
        None => refuse(format!(
            "{name} must be a whole number in [{low}, {high}], not {}",
            shown(object)
        )),
    }
}

/// The size of something that is counted.
pub fn count(name: &str, object: &Bound<'_, PyAny>, high: u32) -> PyResult<usize> {
    Ok(whole(name, object, 1, i128::from(high))? as usize)
}

/// A seed of 64 bits.
pub fn seed(object: &Bound<'_, PyAny>) -> PyResult<u64> {
    Ok(whole("seed", object, 0, i128::from(u64::MAX))? as u64)
}

/// A text.
pub fn text(name: &str, object: &Bound<'_, PyAny>) -> PyResult<String> {
    match object.cast::<PyString>() {
        Ok(text) => Ok(text.to_string_lossy().into_owned()),
        Err(_) => refuse(format!("{name} must be a text, not {}", shown(object))),
    }
}

/// The bytes of a state.
pub fn state(object: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    match object.cast::<PyByteArray>() {
        Ok(bytes) => Ok(bytes.to_vec()),
        Err(_) => refuse(format!("a state must be bytes, not {}", shown(object))),
    }
}

/// A scenario, given itself or by name.
pub fn scenario<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyScenario>> {
    if let Ok(scenario) = object.cast::<PyScenario>() {
        return Ok(scenario.clone());
    }
    match object.cast::<PyString>() {
        Ok(name) => {
            let named = named_scenario(&name.to_string_lossy())?;
            Bound::new(object.py(), PyScenario::from(named.clone()))
        }
        Err(_) => {
            refuse(format!("scenario must be a Scenario or the name of one, not {}", shown(object)))
        }
    }
}
