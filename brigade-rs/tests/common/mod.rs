//! Random scenarios and actions for the properties.

use _core::parameter::Value;
use _core::rng::Pcg64;
use _core::scenario::Scenario;
use proptest::collection::vec;
use proptest::prelude::*;

/// A scenario that a team can play, the team's size, and a seed.
#[derive(Clone, Debug)]
pub struct Setup {
    pub scenario: Scenario,
    pub seats: usize,
    pub seed: u64,
}

fn probability() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(1.0), 0.0..1.0]
}

fn amount() -> impl Strategy<Value = f64> {
    prop_oneof![2 => Just(0.0), 1 => -20.0..100.0]
}

fn choice(words: [&'static str; 2]) -> impl Strategy<Value = Value> {
    prop::sample::select(words.to_vec()).prop_map(|word| Value::Text(word.to_owned()))
}

fn per_seat(seats: usize) -> impl Strategy<Value = Value> {
    prop_oneof![
        amount().prop_map(Value::Number),
        vec(amount().prop_map(Value::Number), seats).prop_map(Value::List),
    ]
}

/// The parameters of a scenario of `houses` for `seats`, in the order of the names.
fn parameters(houses: u32, seats: usize) -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    let number = |name, number: f64| (name, Value::Number(number));
    let homes = vec(0..houses, seats).prop_map(|homes| {
        Value::List(homes.into_iter().map(|home| Value::Whole(i64::from(home))).collect())
    });
    let homes = prop_oneof![Just(Value::Nothing), homes];
    let modes = (
        choice(["bernoulli", "continuous"]),
        choice(["simultaneous", "two_phase"]),
        choice(["always_valid", "adjacent_only"]),
        choice(["none", "team_welfare_closed_form"]),
    );
    let game = (0i64..6, probability(), probability(), probability(), 0.0..1.2f64);
    let stakes = vec(per_seat(seats), 4);
    let amounts = vec(amount(), 9);
    (homes, modes, game, stakes, amounts, 0.0..=1.0f64).prop_map(
        move |(homes, modes, game, stakes, amounts, gamma)| {
            let mut parameters = vec![
                ("num_houses", Value::Whole(i64::from(houses))),
                ("agent_home_positions", homes),
                ("extinguish_mode", modes.0),
                ("commitment_mode", modes.1),
                ("action_validity_mode", modes.2),
                ("team_welfare_kind", modes.3),
                ("min_nights", Value::Whole(game.0)),
                number("prob_house_catches_fire", game.1),
                number("prob_solo_agent_extinguishes_fire", game.2),
                number("prob_fire_spreads_to_neighbor", game.3),
                number("suppression_per_worker", game.4),
                number("team_welfare_gamma", gamma),
            ];
            let names = [
                "reward_own_house_survives",
                "reward_other_house_survives",
                "penalty_own_house_burns",
                "penalty_other_house_burns",
            ];
            parameters.extend(names.into_iter().zip(stakes));
            let names = [
                "cost_to_work_one_night",
                "distance_cost_alpha",
                "reward_rest",
                "team_reward_house_survives",
                "team_penalty_house_burns",
                "progress_shaping_coef",
                "action_shaping_alpha",
                "action_shaping_beta",
                "team_welfare_lambda",
            ];
            parameters.extend(names.into_iter().zip(amounts.into_iter().map(Value::Number)));
            parameters
        },
    )
}

/// Any game: rings of 2 to 12 houses, teams of 1 to 8.
pub fn setups() -> impl Strategy<Value = Setup> {
    let sizes = (2u32..=12, 1usize..=8, any::<u64>());
    sizes.prop_flat_map(|(houses, seats, seed)| {
        parameters(houses, seats).prop_map(move |parameters| {
            let changes = parameters.iter().map(|(name, value)| (*name, value));
            let scenario = Scenario::default().with(changes).expect("a valid scenario");
            Setup { scenario, seats, seed }
        })
    })
}

/// Random actions of so many seats. (seats, 3)
pub fn actions(rng: &mut Pcg64, seats: usize, houses: usize) -> Vec<i32> {
    let action = |_| [rng.below(houses) as i32, rng.below(2) as i32, rng.below(2) as i32];
    (0..seats).flat_map(action).collect()
}

/// Random signals of so many seats.
#[allow(dead_code)] // Each test file is a program of its own, and not all need it.
pub fn signals(rng: &mut Pcg64, seats: usize) -> Vec<i32> {
    (0..seats).map(|_| rng.below(2) as i32).collect()
}
