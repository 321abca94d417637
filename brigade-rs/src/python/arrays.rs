//! NumPy arrays: those that are read and written in place, and integers in any form.

use numpy::ndarray::Dimension;
use numpy::{
    Element, PyArray, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyReadonlyArray,
    PyReadwriteArray, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::arguments::refuse;
use super::values::{is_bool, shown};

/// A shape as NumPy shows it.
fn shape_text(shape: &[usize]) -> String {
    match shape {
        [only] => format!("({only},)"),
        _ => {
            let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
            format!("({})", sizes.join(", "))
        }
    }
}

/// What was given instead of the array that is wanted.
fn given_text(object: &Bound<'_, PyAny>) -> String {
    match object.cast::<PyUntypedArray>() {
        Ok(array) => format!("a {} array of shape {}", array.dtype(), shape_text(array.shape())),
        Err(_) => shown(object),
    }
}

/// The refusal of an object that is not the array that is wanted.
fn unfit<T: Element>(name: &str, object: &Bound<'_, PyAny>, shape: &[usize]) -> PyErr {
    PyValueError::new_err(format!(
        "{name} must be a C-contiguous {} array of shape {}, not {}",
        T::get_dtype(object.py()),
        shape_text(shape),
        given_text(object)
    ))
}

fn array_of<'a, 'py, T: Element, D: Dimension>(
    name: &str,
    object: &'a Bound<'py, PyAny>,
    shape: &[usize],
) -> PyResult<&'a Bound<'py, PyArray<T, D>>> {
    let array = object.cast::<PyArray<T, D>>().map_err(|_| unfit::<T>(name, object, shape))?;
    if array.shape() != shape {
        return Err(unfit::<T>(name, object, shape));
    }
    if !array.is_c_contiguous() {
        return refuse(format!("{name} must be C-contiguous: pass np.ascontiguousarray of it"));
    }
    Ok(array)
}

/// The array, to read.
pub fn read<'py, T: Element, D: Dimension>(
    name: &str,
    object: &Bound<'py, PyAny>,
    shape: &[usize],
) -> PyResult<PyReadonlyArray<'py, T, D>> {
    let array = array_of::<T, D>(name, object, shape)?;
    array.try_readonly().or_else(|_| {
        refuse(format!("{name} cannot be read: another call is writing to its memory"))
    })
}

/// The array, to write.
pub fn write<'py, T: Element, D: Dimension>(
    name: &str,
    object: &Bound<'py, PyAny>,
    shape: &[usize],
) -> PyResult<PyReadwriteArray<'py, T, D>> {
    let array = array_of::<T, D>(name, object, shape)?;
    array.try_readwrite().or_else(|_| {
        refuse(format!(
            "{name} cannot be written: it is read-only or shares memory with another array in use"
        ))
    })
}

/// Integers of this shape, from an array of any integer type or from lists of integers.
pub fn integers(name: &str, object: &Bound<'_, PyAny>, shape: &[usize]) -> PyResult<Vec<i32>> {
    let mut numbers = Vec::with_capacity(shape.iter().product());
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        collect(name, object, shape, shape, &mut numbers)?;
        return Ok(numbers);
    }
    let as_array;
    let array = match object.cast::<PyUntypedArray>() {
        Ok(array) => array,
        Err(_) => {
            as_array = as_array_of(name, object)?;
            &as_array
        }
    };
    if array.shape() != shape {
        return refuse(format!(
            "{name} must have shape {}, not {}",
            shape_text(shape),
            shape_text(array.shape())
        ));
    }
    let kind = array.dtype().kind();
    if !matches!(kind, b'i' | b'u') {
        return refuse(format!("{name} must be integers, not {}", array.dtype()));
    }
    if let Ok(array) = array.cast::<PyArrayDyn<i64>>() {
        take(name, array, &mut numbers)?;
    } else if let Ok(array) = array.cast::<PyArrayDyn<i32>>() {
        take(name, array, &mut numbers)?;
    } else {
        // What is left is narrower, or unsigned: Python's own conversion knows them all.
        let wide = if kind == b'u' { "uint64" } else { "int64" };
        let wide = array.call_method1("astype", (wide,))?;
        match wide.cast::<PyArrayDyn<u64>>() {
            Ok(array) => take(name, array, &mut numbers)?,
            Err(_) => take(name, wide.cast::<PyArrayDyn<i64>>()?, &mut numbers)?,
        }
    }
    Ok(numbers)
}

fn as_array_of<'py>(
    name: &str,
    object: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyUntypedArray>> {
    let unfit = || format!("{name} must be an array of integers, not {}", shown(object));
    if !object.hasattr("__array__").unwrap_or(false) {
        return refuse(unfit());
    }
    let numpy = object.py().import("numpy")?;
    match numpy.call_method1("asarray", (object,)) {
        Ok(array) => array.cast_into().or_else(|_| refuse(unfit())),
        Err(_) => refuse(unfit()),
    }
}

fn narrow<T: TryInto<i32> + Copy + std::fmt::Display>(name: &str, number: T) -> PyResult<i32> {
    match number.try_into() {
        Ok(number) => Ok(number),
        Err(_) => refuse(format!("{name} has an entry of {number}, which is out of range")),
    }
}

fn take<T>(name: &str, array: &Bound<'_, PyArrayDyn<T>>, to: &mut Vec<i32>) -> PyResult<()>
where
    T: Element + TryInto<i32> + Copy + std::fmt::Display,
{
    let Ok(array) = array.try_readonly() else {
        return refuse(format!("{name} cannot be read: another call is writing to its memory"));
    };
    for &number in array.as_array() {
        to.push(narrow(name, number)?);
    }
    Ok(())
}

/// Collects the integers of nested sequences.
fn collect(
    name: &str,
    object: &Bound<'_, PyAny>,
    shape: &[usize],
    whole_shape: &[usize],
    to: &mut Vec<i32>,
) -> PyResult<()> {
    let Some((&length, rest)) = shape.split_first() else {
        let number = if is_bool(object) { None } else { object.extract::<i128>().ok() };
        let Some(number) = number else {
            return refuse(format!("{name} must be integers, not {}", shown(object)));
        };
        to.push(narrow(name, number)?);
        return Ok(());
    };
    let sized = object.len().is_ok_and(|found| found == length);
    let Some(items) = object.try_iter().ok().filter(|_| sized) else {
        return refuse(format!(
            "{name} must have shape {}; {} is not of length {length}",
            shape_text(whole_shape),
            shown(object)
        ));
    };
    let before = to.len();
    // A hostile sequence may yield more than it said it has.
    for item in items.take(length) {
        let item = item.or_else(|_| refuse(format!("{name} cannot be read")))?;
        collect(name, &item, rest, whole_shape, to)?;
    }
    if to.len() - before != shape.iter().product::<usize>() {
        return refuse(format!("{name} must have shape {}", shape_text(whole_shape)));
    }
    Ok(())
}
