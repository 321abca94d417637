//! The recorded games hold: states exactly, rewards to a relative 1e-5.

use _core::engine::Engine;
use _core::named::value_of;
use _core::parameter::Value;
use _core::scenario::Scenario;
use serde_json::Value as Json;

fn numbers(json: &Json) -> Vec<i32> {
    match json {
        Json::Array(items) => items.iter().flat_map(numbers).collect(),
        _ => vec![json.as_i64().expect("an integer") as i32],
    }
}

fn scenario(json: &Json) -> Scenario {
    let parameters = json.as_object().expect("an object").iter();
    let parameters: Vec<(&str, Value)> =
        parameters.map(|(name, value)| (name.as_str(), value_of(value))).collect();
    Scenario::default().with(parameters.iter().map(|(name, value)| (*name, value))).expect("valid")
}

fn houses(engine: &Engine) -> Vec<i32> {
    engine.game().houses.iter().map(|&house| i32::from(house)).collect()
}

#[test]
fn all_recorded_games_are_played_exactly() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/traces.json");
    let traces: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let traces = traces.as_array().unwrap();
    assert_eq!(traces.len(), 49);
    for trace in traces {
        let name = trace["name"].as_str().unwrap();
        let seats = trace["num_agents"].as_u64().unwrap() as usize;
        let seed = trace["seed"].as_u64().unwrap();
        let mut engine = Engine::new(scenario(&trace["scenario"]), seats, seed).unwrap();
        assert_eq!(houses(&engine), numbers(&trace["initial_houses"]), "{name}");
        for (night, step) in trace["steps"].as_array().unwrap().iter().enumerate() {
            let at = format!("{name}, step {night}");
            let signals = step.get("round1_signals").map(numbers);
            let mut rewards = vec![0.0; seats];
            let actions = numbers(&step["actions"]);
            let done = engine.step(&actions, signals.as_deref(), &mut rewards).expect(&at);
            let game = engine.game();
            assert_eq!(houses(&engine), numbers(&step["houses"]), "{at}");
            assert_eq!(Some(u64::from(game.head.night)), step["night"].as_u64(), "{at}");
            assert_eq!(Some(done), step["done"].as_bool(), "{at}");
            let positions: Vec<i32> = game.seats.iter().map(|seat| seat.house as i32).collect();
            assert_eq!(positions, numbers(&step["positions"]), "{at}");
            let told: Vec<i32> = game.seats.iter().map(|seat| i32::from(seat.signal)).collect();
            assert_eq!(told, numbers(&step["signals"]), "{at}");
            for (reward, wanted) in rewards.iter().zip(step["rewards"].as_array().unwrap()) {
                let wanted = wanted.as_f64().unwrap();
                let error = (f64::from(*reward) - wanted).abs();
                assert!(error <= 1e-5 * wanted.abs(), "{at}: {reward} instead of {wanted}");
            }
            if done {
                engine.reset(None);
                assert_eq!(houses(&engine), numbers(&step["houses_after_reset"]), "{at}");
            }
        }
    }
}
