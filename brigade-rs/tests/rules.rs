//! What the rules imply for every scenario, team and behaviour.

mod common;

use _core::draws::Draws;
use _core::engine::Engine;
use _core::parameter::Value;
use _core::rng::Pcg64;
use _core::rules::{distance, Rules};
use _core::state::{Games, BURNING, RUINED, SAFE};
use common::{actions, setups, signals, Setup};
use proptest::prelude::*;

fn is(setup: &Setup, name: &str, word: &str) -> bool {
    setup.scenario.get(name) == Some(Value::Text(word.to_owned()))
}

fn whole(setup: &Setup, name: &str) -> i64 {
    match setup.scenario.get(name) {
        Some(Value::Whole(number)) => number,
        other => panic!("{name} is {other:?}"),
    }
}

fn play(engine: &mut Engine, rng: &mut Pcg64, setup: &Setup) -> (Vec<i32>, Vec<f32>, bool) {
    let actions = actions(rng, setup.seats, setup.scenario.num_houses());
    let round1 = setup.scenario.two_phase().then(|| signals(rng, setup.seats));
    let mut rewards = vec![f32::NAN; setup.seats];
    let done = engine.step(&actions, round1.as_deref(), &mut rewards).expect("a legal night");
    (actions, rewards, done)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_night_keeps_the_rules(setup in setups()) {
        let mut engine = Engine::new(setup.scenario.clone(), setup.seats, setup.seed).unwrap();
        let mut rng = Pcg64::new(setup.seed ^ 1);
        let continuous = is(&setup, "extinguish_mode", "continuous");
        let adjacent = is(&setup, "action_validity_mode", "adjacent_only");
        let min_nights = whole(&setup, "min_nights") as u32;
        let houses = setup.scenario.num_houses();
        prop_assert!(engine.game().houses.iter().all(|&house| house != RUINED));
        for _ in 0..40 {
            let before = engine.game().houses.to_vec();
            let night = engine.game().head.night;
            let (actions, rewards, done) = play(&mut engine, &mut rng, &setup);
            let game = engine.game();
            prop_assert_eq!(game.head.night, night + 1);
            prop_assert!(rewards.iter().all(|reward| reward.is_finite()));
            for (house, (&was, &now)) in before.iter().zip(game.houses).enumerate() {
                prop_assert!(now <= RUINED);
                prop_assert!(was != RUINED || now == RUINED, "house {} came back", house);
                prop_assert!(now != RUINED || was == RUINED || was == BURNING && !continuous);
                let progress = game.progress[house];
                prop_assert!((0.0..1.0).contains(&progress));
                prop_assert!(progress == 0.0 || now == BURNING && continuous);
            }
            let ended = [SAFE, RUINED].iter().any(|&all| game.houses.iter().all(|&h| h == all));
            prop_assert_eq!(done, ended && night >= min_nights);
            prop_assert_eq!(done, game.head.done);
            for (seat, action) in actions.chunks(3).enumerate() {
                let home = engine.rules().homes[seat];
                let reached = !adjacent || distance(home, action[0] as u32, houses) <= 1;
                let house = if reached { action[0] as u32 } else { home };
                prop_assert_eq!(game.seats[seat].house, house);
                prop_assert_eq!(i32::from(game.seats[seat].mode), action[1]);
                prop_assert_eq!(i32::from(game.seats[seat].signal), action[2]);
            }
            if done {
                let mut rewards = rewards;
                prop_assert!(engine.step(&actions, None, &mut rewards).is_err());
                engine.reset(None);
                prop_assert_eq!(engine.game().head.night, 0);
            }
        }
    }

    #[test]
    fn a_night_played_again_with_its_draws_differs_only_where_the_actions_do(setup in setups()) {
        let rules = Rules::new(&setup.scenario, setup.seats).unwrap();
        let houses = rules.num_houses;
        let mut game = Games::new(&[setup.seed], houses, setup.seats).unwrap();
        let (mut scratch, mut draws) = (rules.scratch(), Draws::new(houses));
        let mut rewards = vec![vec![f32::NAN; setup.seats]; 3];
        let mut rng = Pcg64::new(setup.seed ^ 1);
        for night in 0..25 {
            if night == 0 || game.game(0).head.done {
                rules.reset(&mut game.game_mut(0));
            }
            let (before, actions) = (game.clone(), actions(&mut rng, setup.seats, houses));
            rules.play(&mut game.game_mut(0), &actions, &mut scratch, &mut rewards[0]);

            let mut recorded = before.clone();
            draws.start(&before.game(0).head.rng);
            let record = |rng: &mut Pcg64, event| draws.draw(rng, event);
            let mut played = recorded.game_mut(0);
            rules.play_with(&mut played, &actions, &mut scratch, &mut rewards[1], record);
            prop_assert!(recorded == game && rewards[1] == rewards[0]);

            let seat = rng.below(setup.seats);
            let mut resting = actions.clone();
            resting[3 * seat..3 * seat + 3].copy_from_slice(&[rules.homes[seat] as i32, 0, 0]);
            let mut without = before.clone();
            for (actions, same) in [(&actions, true), (&resting, false)] {
                without.clone_from(&before);
                let again = |_: &mut Pcg64, event| draws.again(event);
                let mut played = without.game_mut(0);
                rules.play_with(&mut played, actions, &mut scratch, &mut rewards[2], again);
                let (one, other) = (game.game(0), without.game(0));
                prop_assert_eq!(&other.head.rng, &before.game(0).head.rng);
                if same {
                    prop_assert!(one.houses == other.houses && one.progress == other.progress);
                    prop_assert!(one.seats == other.seats && rewards[2] == rewards[0]);
                }
            }
            let (was, one, other) = (before.game(0), game.game(0), without.game(0));
            let target = one.seats[seat].house;
            let fought = one.seats[seat].mode == 1 && was.houses[target as usize] == BURNING;
            for house in 0..houses {
                let reach = u32::from(rules.is_continuous());
                if !fought || distance(target, house as u32, houses) > reach {
                    prop_assert_eq!(one.houses[house], other.houses[house]);
                    prop_assert_eq!(one.progress[house], other.progress[house]);
                }
            }
        }
    }

    #[test]
    fn a_seed_decides_everything_and_a_reset_goes_on_with_its_stream(setup in setups()) {
        let new = || Engine::new(setup.scenario.clone(), setup.seats, setup.seed).unwrap();
        let (mut first, mut second) = (new(), new());
        let mut rngs = (Pcg64::new(7), Pcg64::new(7));
        for night in 0..20 {
            let done = play(&mut first, &mut rngs.0, &setup).2;
            play(&mut second, &mut rngs.1, &setup);
            if done || night % 7 == 0 {
                first.reset(None);
                second.reset(None);
            }
            prop_assert!(first == second);
        }
        first.reset(Some(setup.seed));
        prop_assert!(first == new());
    }

    #[test]
    fn a_restored_game_goes_on_exactly_where_it_was(setup in setups(), nights in 0usize..20) {
        let mut engine = Engine::new(setup.scenario.clone(), setup.seats, setup.seed).unwrap();
        let mut rng = Pcg64::new(3);
        for _ in 0..nights {
            if play(&mut engine, &mut rng, &setup).2 {
                break;
            }
        }
        let mut copy = Engine::new(setup.scenario.clone(), setup.seats, 0).unwrap();
        copy.restore(&engine.to_bytes()).unwrap();
        prop_assert!(copy == engine);
        prop_assert_eq!(copy.game().head.done, engine.game().head.done);
        let mut rngs = (rng.clone(), rng);
        for _ in 0..20 {
            if engine.game().head.done {
                engine.reset(None);
                copy.reset(None);
            }
            let played = play(&mut engine, &mut rngs.0, &setup);
            prop_assert_eq!(played, play(&mut copy, &mut rngs.1, &setup));
        }
        prop_assert!(copy == engine);
    }

    #[test]
    fn damaged_bytes_are_refused_or_lead_to_a_game_that_can_be_played(
        setup in setups(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        shortens in any::<bool>(),
    ) {
        let mut engine = Engine::new(setup.scenario.clone(), setup.seats, setup.seed).unwrap();
        let before = engine.clone();
        let mut bytes = engine.to_bytes();
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if shortens {
            bytes.truncate(cut.index(bytes.len()));
        }
        if engine.restore(&bytes).is_err() {
            prop_assert!(engine == before);
            return Ok(());
        }
        prop_assert!(!shortens);
        let mut rng = Pcg64::new(5);
        for _ in 0..5 {
            if engine.game().head.done {
                engine.reset(None);
            }
            let rewards = play(&mut engine, &mut rng, &setup).1;
            prop_assert!(rewards.iter().all(|reward| reward.is_finite()));
        }
    }
}
