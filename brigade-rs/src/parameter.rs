//! The kinds of scenario parameters: what each accepts, and how a refusal reads.
//!
//! A value comes in as a [`Value`], which is all that a configuration file or another language
//! can say, and is read into the parameter's own type, checked against its domain.

use crate::error::{Invalid, Result};
use crate::nearest::hint;

/// A parameter's value as it is given from outside and told to it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Absent, where that is allowed.
    Nothing,
    /// A whole number.
    Whole(i64),
    /// Any other number.
    Number(f64),
    /// A text.
    Text(String),
    /// Several values.
    List(Vec<Value>),
    /// Something of no use here, as it should be shown.
    Other(String),
}

impl Value {
    /// As it is shown in a refusal; long values are cut.
    fn shown(&self) -> String {
        let text = match self {
            Value::Nothing => "None".to_owned(),
            Value::Whole(x) => x.to_string(),
            Value::Number(x) => format!("{x:?}"),
            Value::Text(x) => format!("{x:?}"),
            Value::List(x) => {
                let items: Vec<String> = x.iter().take(20).map(Value::shown).collect();
                let more = if x.len() > 20 { ", ..." } else { "" };
                format!("[{}{more}]", items.join(", "))
            }
            Value::Other(x) => x.clone(),
        };
        if text.chars().count() <= 200 {
            return text;
        }
        text.chars().take(200).chain("...".chars()).collect()
    }

    fn number(&self) -> Option<f64> {
        match self {
            Value::Whole(x) => Some(*x as f64),
            Value::Number(x) if x.is_finite() => Some(*x),
            _ => None,
        }
    }
}

/// The values that a parameter may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Domain {
    /// A number between 0 and 1 that observations show as it is.
    Probability,
    /// A number between these, both allowed.
    Between(f64, f64),
    /// A whole number between these, both allowed.
    WholeBetween(u32, u32),
    /// Whatever the type says.
    OfType,
}

impl Domain {
    /// As it is shown in a refusal.
    fn shown(self) -> String {
        let (low, high) = self.limits();
        let limit = |x: f64| if x.abs() < 1e9 { x.to_string() } else { format!("{x:e}") };
        format!("[{}, {}]", limit(low), limit(high))
    }

    fn limits(self) -> (f64, f64) {
        match self {
            Domain::Probability => (0.0, 1.0),
            Domain::Between(low, high) => (low, high),
            Domain::WholeBetween(low, high) => (f64::from(low), f64::from(high)),
            Domain::OfType => (f64::NEG_INFINITY, f64::INFINITY),
        }
    }
}

fn refuse<T>(name: &str, wanted: &str, value: &Value) -> Result<T> {
    Err(Invalid::new(format!("{name} must be {wanted}, not {}", value.shown())))
}

/// A type that a parameter can have.
pub trait Parameter: Sized {
    /// Reads the value given for the parameter `name`.
    fn read(name: &str, value: &Value, domain: Domain) -> Result<Self>;
    /// The value as it would be given.
    fn tell(&self) -> Value;
    /// The number that stands for it in seat `seat`'s observation, before scaling.
    fn number(&self, seat: usize) -> Option<f64>;
}

impl Parameter for u32 {
    fn read(name: &str, value: &Value, domain: Domain) -> Result<Self> {
        let (low, high) = domain.limits();
        if let Value::Whole(x) = value {
            if let Ok(whole) = u32::try_from(*x) {
                if (low..=high).contains(&f64::from(whole)) {
                    return Ok(whole);
                }
            }
        }
        refuse(name, &format!("a whole number in {}", domain.shown()), value)
    }

    fn tell(&self) -> Value {
        Value::Whole(i64::from(*self))
    }

    fn number(&self, _seat: usize) -> Option<f64> {
        Some(f64::from(*self))
    }
}

impl Parameter for f64 {
    fn read(name: &str, value: &Value, domain: Domain) -> Result<Self> {
        let (low, high) = domain.limits();
        match value.number() {
            // Adding 0 turns -0 into 0, so that equal scenarios look and hash alike.
            Some(x) if (low..=high).contains(&x) => Ok(x + 0.0),
            _ => refuse(name, &format!("a number in {}", domain.shown()), value),
        }
    }

    fn tell(&self) -> Value {
        Value::Number(*self)
    }

    fn number(&self, _seat: usize) -> Option<f64> {
        Some(*self)
    }
}

/// One number for all seats, or one for each.
#[derive(Clone, Debug, PartialEq)]
pub enum PerSeat {
    /// The same for all.
    Same(f64),
    /// Seat by seat.
    Each(Vec<f64>),
}

impl PerSeat {
    /// The value of a seat; the list is long enough in every game that was let start.
    pub fn of(&self, seat: usize) -> f64 {
        match self {
            PerSeat::Same(x) => *x,
            PerSeat::Each(list) => list.get(seat).copied().unwrap_or(0.0),
        }
    }

    /// How many seats it is for, where it is a list.
    pub fn seats(&self) -> Option<usize> {
        match self {
            PerSeat::Same(_) => None,
            PerSeat::Each(list) => Some(list.len()),
        }
    }
}

impl Parameter for PerSeat {
    fn read(name: &str, value: &Value, domain: Domain) -> Result<Self> {
        let wanted = format!("a number in {} or a list of them, one per seat", domain.shown());
        match value {
            Value::List(items) if !items.is_empty() => {
                let read = |(seat, item)| f64::read(&format!("{name}[{seat}]"), item, domain);
                let list = items.iter().enumerate().map(read);
                Ok(PerSeat::Each(list.collect::<Result<_>>()?))
            }
            Value::Whole(_) | Value::Number(_) => f64::read(name, value, domain)
                .map(PerSeat::Same)
                .or_else(|_| refuse(name, &wanted, value)),
            _ => refuse(name, &wanted, value),
        }
    }

    fn tell(&self) -> Value {
        match self {
            PerSeat::Same(x) => x.tell(),
            PerSeat::Each(list) => Value::List(list.iter().map(f64::tell).collect()),
        }
    }

    fn number(&self, seat: usize) -> Option<f64> {
        Some(self.of(seat))
    }
}

/// A house for each seat, where homes are given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Homes(pub Option<Vec<u32>>);

impl Parameter for Homes {
    fn read(name: &str, value: &Value, domain: Domain) -> Result<Self> {
        match value {
            Value::Nothing => Ok(Homes(None)),
            Value::List(items) if !items.is_empty() => {
                let read = |(seat, item)| u32::read(&format!("{name}[{seat}]"), item, domain);
                let list = items.iter().enumerate().map(read);
                Ok(Homes(Some(list.collect::<Result<_>>()?)))
            }
            _ => refuse(name, "None or a list of houses, one per seat", value),
        }
    }

    fn tell(&self) -> Value {
        match &self.0 {
            None => Value::Nothing,
            Some(list) => Value::List(list.iter().map(u32::tell).collect()),
        }
    }

    fn number(&self, _seat: usize) -> Option<f64> {
        None
    }
}

/// Reads one of a few words; used by [`modes!`].
pub fn read_choice<T: Copy>(name: &str, value: &Value, choices: &[(&'static str, T)]) -> Result<T> {
    let names = || choices.iter().map(|(word, _)| *word);
    if let Value::Text(text) = value {
        if let Some((_, choice)) = choices.iter().find(|(word, _)| word == text) {
            return Ok(*choice);
        }
    }
    let quoted: Vec<String> = names().map(|word| format!("{word:?}")).collect();
    let hint = match value {
        Value::Text(text) => hint(text, names()),
        _ => String::new(),
    };
    Err(Invalid::new(format!(
        "{name} must be one of {}, not {}{hint}",
        quoted.join(", "),
        value.shown()
    )))
}

/// Declares an enum that is a parameter: its variants, in order of their observed number.
macro_rules! modes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            const CHOICES: &'static [(&'static str, Self)] = &[$(($word, Self::$variant),)*];
        }

        impl Parameter for $name {
            fn read(name: &str, value: &Value, _domain: Domain) -> Result<Self> {
                read_choice(name, value, Self::CHOICES)
            }

            fn tell(&self) -> Value {
                Value::Text(Self::CHOICES[*self as usize].0.to_owned())
            }

            fn number(&self, _seat: usize) -> Option<f64> {
                Some(f64::from(*self as u8))
            }
        }
    };
}

modes! {
    /// How fires go out.
    ExtinguishMode {
        /// Each night each fire is put out with a chance, or ruins its house.
        Bernoulli = "bernoulli",
        /// Workers wear a fire down over several nights.
        Continuous = "continuous",
    }
}

modes! {
    /// Whether seats signal before they act.
    CommitmentMode {
        /// They act at once.
        Simultaneous = "simultaneous",
        /// All give a round-1 signal, see each other's, then act.
        TwoPhase = "two_phase",
    }
}

modes! {
    /// Which houses a seat can reach.
    ActionValidityMode {
        /// All.
        AlwaysValid = "always_valid",
        /// Its home and the houses beside it; any other target becomes the home.
        AdjacentOnly = "adjacent_only",
    }
}

modes! {
    /// Whether a team-welfare shaping term is paid.
    TeamWelfareKind {
        /// It is not.
        None = "none",
        /// A potential of the house counts.
        ClosedForm = "team_welfare_closed_form",
    }
}
