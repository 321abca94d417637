//! A batch is so many engines, however many threads play it.

mod common;

use _core::batch::Batch;
use _core::engine::Engine;
use _core::rng::Pcg64;
use _core::shard::Step;
use common::{actions, setups, Setup};
use proptest::prelude::*;

/// The arrays of a step.
#[derive(Clone, Debug, PartialEq)]
struct Arrays {
    observations: Vec<f32>,
    rewards: Vec<f32>,
    terminated: Vec<bool>,
    truncated: Vec<bool>,
    finals: Vec<f32>,
    returns: Vec<f64>,
    lengths: Vec<i32>,
}

impl Arrays {
    fn of(batch: &Batch) -> Self {
        let (games, seats) = (batch.num_envs(), batch.num_agents());
        let size = games * batch.observer().size();
        Self {
            observations: vec![f32::NAN; size],
            rewards: vec![f32::NAN; games * seats],
            terminated: vec![true; games],
            truncated: vec![true; games],
            finals: vec![0.0; size],
            returns: vec![f64::NAN; games * seats],
            lengths: vec![-1; games],
        }
    }

    fn step(&mut self, batch: &mut Batch, actions: &[i32]) {
        let step = Step {
            actions,
            observations: &mut self.observations,
            rewards: &mut self.rewards,
            terminated: &mut self.terminated,
            truncated: &mut self.truncated,
            final_observations: &mut self.finals,
            returns: &mut self.returns,
            lengths: &mut self.lengths,
        };
        batch.step(step).expect("legal actions");
    }
}

fn seeds(setup: &Setup, games: usize) -> Vec<u64> {
    (0..games as u64).map(|game| setup.seed.wrapping_add(game)).collect()
}

fn batch(setup: &Setup, games: usize, max_cycles: u32, threads: usize) -> Batch {
    let seeds = seeds(setup, games);
    Batch::new(setup.scenario.clone(), setup.seats, max_cycles, &seeds, threads).unwrap()
}

fn all_actions(rng: &mut Pcg64, batch: &Batch) -> Vec<i32> {
    actions(rng, batch.num_envs() * batch.num_agents(), batch.scenario().num_houses())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_game_of_a_batch_is_an_engine_of_its_seed(
        setup in setups(),
        games in 1usize..6,
        max_cycles in 1u32..20,
        threads in 1usize..4,
    ) {
        let mut batch = batch(&setup, games, max_cycles, threads);
        let mut arrays = Arrays::of(&batch);
        let new = |&seed| Engine::new(setup.scenario.clone(), setup.seats, seed).unwrap();
        let mut engines: Vec<Engine> = seeds(&setup, games).iter().map(new).collect();
        let mut returns = vec![vec![0.0; setup.seats]; games];
        let observer = batch.observer().clone();
        let (mut row, mut rows) = (vec![0.0; observer.size()], observer.rows().unwrap());
        let mut rng = Pcg64::new(setup.seed);
        let two_phase = setup.scenario.two_phase();
        for _ in 0..30 {
            let mut round1 = None;
            if two_phase {
                prop_assert!(batch.signalling());
                let actions = all_actions(&mut rng, &batch);
                arrays.step(&mut batch, &actions);
                prop_assert!(arrays.rewards.iter().all(|&reward| reward == 0.0));
                prop_assert!(!arrays.terminated.contains(&true) && !arrays.truncated.contains(&true));
                round1 = Some(actions.chunks(3).map(|action| action[2]).collect::<Vec<_>>());
            }
            prop_assert!(!batch.signalling());
            let actions = all_actions(&mut rng, &batch);
            arrays.step(&mut batch, &actions);
            for (b, engine) in engines.iter_mut().enumerate() {
                let seats = b * setup.seats..(b + 1) * setup.seats;
                let mine = seats.start * 3..seats.end * 3;
                let signals = round1.as_ref().map(|signals| &signals[seats.clone()]);
                let mut rewards = vec![0.0; setup.seats];
                let done = engine.step(&actions[mine], signals, &mut rewards).unwrap();
                for (total, &reward) in returns[b].iter_mut().zip(&rewards) {
                    *total += f64::from(reward);
                }
                let night = engine.game().head.night;
                let truncated = !done && night >= max_cycles;
                prop_assert_eq!(&arrays.rewards[seats.clone()], &rewards);
                prop_assert_eq!(&arrays.returns[seats], &returns[b]);
                prop_assert_eq!(arrays.lengths[b], night as i32);
                prop_assert_eq!(arrays.terminated[b], done);
                prop_assert_eq!(arrays.truncated[b], truncated);
                let entries = b * observer.size()..(b + 1) * observer.size();
                if done || truncated {
                    observer.write(engine.game(), two_phase, &mut rows, &mut row);
                    prop_assert_eq!(&arrays.finals[entries.clone()], &row);
                    engine.reset(None);
                    returns[b].fill(0.0);
                }
                observer.write(engine.game(), two_phase, &mut rows, &mut row);
                prop_assert_eq!(&arrays.observations[entries], &row);
            }
        }
    }

    #[test]
    fn threads_change_nothing(setup in setups(), games in 1usize..40, threads in 2usize..5) {
        let mut one = batch(&setup, games, 15, 1);
        let mut many = batch(&setup, games, 15, threads);
        let mut arrays = (Arrays::of(&one), Arrays::of(&many));
        let mut rng = Pcg64::new(1);
        for step in 0..25 {
            if step == 10 {
                let seeds: Vec<u64> = (0..games as u64).rev().collect();
                one.reset(Some(&seeds), &mut arrays.0.observations).unwrap();
                many.reset(Some(&seeds), &mut arrays.1.observations).unwrap();
            }
            if step == 20 {
                one.reset(None, &mut arrays.0.observations).unwrap();
                many.reset(None, &mut arrays.1.observations).unwrap();
            }
            let actions = all_actions(&mut rng, &one);
            arrays.0.step(&mut one, &actions);
            arrays.1.step(&mut many, &actions);
            prop_assert!(arrays.0 == arrays.1);
        }
        prop_assert!(one.to_bytes() == many.to_bytes());
    }

    #[test]
    fn restored_games_go_on_exactly_where_they_were(
        setup in setups(),
        games in 1usize..8,
        steps in 0usize..12,
        threads in 1usize..4,
    ) {
        let mut original = batch(&setup, games, 9, 1);
        let mut arrays = Arrays::of(&original);
        let mut rng = Pcg64::new(2);
        for _ in 0..steps {
            let actions = all_actions(&mut rng, &original);
            arrays.step(&mut original, &actions);
        }
        let mut copy = batch(&setup, games, 9, threads);
        copy.restore(&original.to_bytes()).unwrap();
        let mut others = arrays.clone();
        for _ in 0..20 {
            let actions = all_actions(&mut rng, &original);
            arrays.step(&mut original, &actions);
            others.step(&mut copy, &actions);
            prop_assert!(arrays == others);
        }
    }

    #[test]
    fn observations_stay_within_their_bounds(setup in setups(), games in 1usize..4) {
        let mut batch = batch(&setup, games, 50, 1);
        let (low, high) = batch.observer().bounds();
        let mut arrays = Arrays::of(&batch);
        let mut rng = Pcg64::new(4);
        for _ in 0..30 {
            let actions = all_actions(&mut rng, &batch);
            arrays.step(&mut batch, &actions);
            for row in arrays.observations.chunks(low.len()) {
                for (entry, bounds) in row.iter().zip(low.iter().zip(&high)) {
                    prop_assert!(bounds.0 <= entry && entry <= bounds.1);
                }
            }
        }
    }

    #[test]
    fn nothing_is_stepped_when_an_action_is_out_of_range(
        setup in setups(),
        place in any::<prop::sample::Index>(),
        value in prop_oneof![i32::MIN..0, 12..i32::MAX],
    ) {
        let mut batch = batch(&setup, 3, 50, 2);
        let mut arrays = Arrays::of(&batch);
        let mut actions = all_actions(&mut Pcg64::new(6), &batch);
        let place = place.index(actions.len());
        actions[place] = value;
        let before = batch.to_bytes();
        let step = Step {
            actions: &actions,
            observations: &mut arrays.observations,
            rewards: &mut arrays.rewards,
            terminated: &mut arrays.terminated,
            truncated: &mut arrays.truncated,
            final_observations: &mut arrays.finals,
            returns: &mut arrays.returns,
            lengths: &mut arrays.lengths,
        };
        let error = batch.step(step).unwrap_err().to_string();
        let seat = place / 3;
        let named = format!("game {}, seat {}: ", seat / setup.seats, seat % setup.seats);
        let told = format!("not {value}");
        prop_assert!(error.starts_with(&named) && error.ends_with(&told), "{}", error);
        prop_assert!(batch.to_bytes() == before);
    }
}
