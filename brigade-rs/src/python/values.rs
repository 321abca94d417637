//! Python objects as parameter values, and back.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::parameter::Value;
use crate::scenario::MOST;

/// What the object is called in a refusal.
pub fn shown(object: &Bound<'_, PyAny>) -> String {
    // The object may be hostile: its repr may fail, or be of any length.
    let text = match object.repr() {
        Ok(repr) => repr.to_string_lossy().into_owned(),
        Err(_) => match object.get_type().name() {
            Ok(name) => format!("a {}", name.to_string_lossy()),
            Err(_) => "this".to_owned(),
        },
    };
    if text.chars().count() <= 100 {
        return text;
    }
    text.chars().take(100).chain("...".chars()).collect()
}

/// Whether it is a truth value, Python's or NumPy's, which is no number here.
pub fn is_bool(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyBool>()
        || object
            .get_type()
            .name()
            .is_ok_and(|name| matches!(&*name.to_string_lossy(), "bool" | "bool_"))
}

/// What the object says as a parameter's value; of no use where it is nothing of the kind.
pub fn value_of(object: &Bound<'_, PyAny>) -> Value {
    if let Some(list) = list_of(object) {
        return list;
    }
    scalar_of(object)
}

fn scalar_of(object: &Bound<'_, PyAny>) -> Value {
    let other = || Value::Other(shown(object));
    if object.is_none() {
        return Value::Nothing;
    }
    if is_bool(object) {
        return other();
    }
    if let Ok(text) = object.cast::<PyString>() {
        return Value::Text(text.to_string_lossy().into_owned());
    }
    if let Ok(float) = object.cast::<PyFloat>() {
        return Value::Number(float.value());
    }
    // `__index__` is what makes an integer of NumPy one of Python.
    if let Ok(whole) = object.extract::<i64>() {
        return Value::Whole(whole);
    }
    if object.is_instance_of::<PyInt>() || has(object, "__float__") && !has(object, "__len__") {
        return object.extract::<f64>().map_or_else(|_| other(), Value::Number);
    }
    other()
}

fn has(object: &Bound<'_, PyAny>, name: &str) -> bool {
    object.hasattr(name).unwrap_or(false)
}

/// The object's entries where it is a list, a tuple or an array.
fn list_of(object: &Bound<'_, PyAny>) -> Option<Value> {
    let plain = object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>();
    let array = || has(object, "__array__") && object.len().is_ok();
    if !plain && !array() {
        return None;
    }
    let too_long = object.len().map_or(true, |length| length > MOST as usize);
    let items = if too_long { None } else { object.try_iter().ok() };
    let items = items.map(|items| items.map(|item| item.map(|item| scalar_of(&item))));
    match items.map(Iterator::collect::<PyResult<Vec<Value>>>) {
        Some(Ok(items)) => Some(Value::List(items)),
        _ => Some(Value::Other(shown(object))),
    }
}

/// The value as a Python object.
pub fn object_of(py: Python<'_>, value: &Value) -> PyResult<Py<PyAny>> {
    Ok(match value {
        Value::Nothing => py.None(),
        Value::Whole(x) => x.into_pyobject(py)?.into_any().unbind(),
        Value::Number(x) => x.into_pyobject(py)?.into_any().unbind(),
        Value::Text(x) | Value::Other(x) => x.into_pyobject(py)?.into_any().unbind(),
        Value::List(items) => {
            let items: Vec<_> =
                items.iter().map(|item| object_of(py, item)).collect::<PyResult<_>>()?;
            PyList::new(py, items)?.into_any().unbind()
        }
    })
}
