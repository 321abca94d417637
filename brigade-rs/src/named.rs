//! The named scenarios and the archetypes, from the JSON files beside the sources.

use std::sync::OnceLock;

use serde_json::Value as Json;

use crate::error::{Invalid, Result};
use crate::nearest::hint;
use crate::parameter::Value;
use crate::scenario::Scenario;

/// Numbers that describe one heuristic agent.
pub const ARCHETYPE_PARAMETERS: usize = 10;

/// What a JSON value says, as a parameter's value.
pub fn value_of(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nothing,
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(value_of).collect()),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::Whole(whole),
            (None, Some(x)) => Value::Number(x),
            _ => Value::Other(json.to_string()),
        },
        Json::Bool(_) | Json::Object(_) => Value::Other(json.to_string()),
    }
}

/// All named scenarios, in the file's order.
pub fn scenarios() -> &'static [Scenario] {
    static SCENARIOS: OnceLock<Vec<Scenario>> = OnceLock::new();
    SCENARIOS.get_or_init(|| {
        // The file is part of the program: an error in it is one of ours, and a test reads it.
        let file: Json = serde_json::from_str(include_str!("../scenarios.json"))
            .expect("scenarios.json is JSON");
        let entries = file.as_object().expect("scenarios.json is an object");
        let read = |(name, entry): (&String, &Json)| {
            let mut parameters: Vec<(&str, Value)> = Vec::new();
            let mut description = String::new();
            for (key, json) in entry.as_object().expect("a scenario is an object") {
                match (key.as_str(), json) {
                    ("description", Json::String(text)) => description.clone_from(text),
                    _ => parameters.push((key, value_of(json))),
                }
            }
            let changes = parameters.iter().map(|(key, value)| (*key, value));
            let mut scenario = Scenario::default().with(changes).expect("scenarios.json is valid");
            scenario.name.clone_from(name);
            scenario.description = description;
            scenario
        };
        entries.iter().map(read).collect()
    })
}

/// The scenario of this name; an unknown one is refused with the known ones and the nearest.
pub fn named_scenario(name: &str) -> Result<&'static Scenario> {
    let names = || scenarios().iter().map(|scenario| scenario.name.as_str());
    let found = scenarios().iter().find(|scenario| scenario.name == name);
    found.ok_or_else(|| {
        let shown: String = name.chars().take(64).collect();
        Invalid::new(format!(
            "unknown scenario {shown:?}{}; the named scenarios are {}",
            hint(name, names()),
            names().collect::<Vec<_>>().join(", ")
        ))
    })
}

/// The archetypes' names and parameters, in the file's order.
pub fn archetypes() -> &'static [(String, [f64; ARCHETYPE_PARAMETERS])] {
    static ARCHETYPES: OnceLock<Vec<(String, [f64; ARCHETYPE_PARAMETERS])>> = OnceLock::new();
    ARCHETYPES.get_or_init(|| {
        let file: Json = serde_json::from_str(include_str!("../archetypes.json"))
            .expect("archetypes.json is JSON");
        let entries = file.as_object().expect("archetypes.json is an object");
        let read = |(name, entry): (&String, &Json)| {
            let numbers = entry.as_array().into_iter().flatten();
            let numbers: Vec<f64> = numbers.filter_map(Json::as_f64).collect();
            let parameters = numbers.try_into().expect("an archetype is ten numbers");
            (name.clone(), parameters)
        };
        entries.iter().map(read).collect()
    })
}
