//! The one error of the crate: something given from outside was refused.
//!
//! Its text is a sentence for the user: what was refused, the value, and what is allowed.

use std::fmt;

/// A refused value, with the sentence that says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(String);

impl Invalid {
    /// Refuses with this sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

/// What every fallible function of the crate returns.
pub type Result<T> = std::result::Result<T, Invalid>;
