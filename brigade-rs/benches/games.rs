//! Speed of a batch's step, and of its parts, for the scenario "default" with random actions.
//!
//! `step` is everything; `parts` are what it is made of, over the same kind of games: `draws`
//! makes as many random draws as those nights make, `rewards` pays them, `night` plays them
//! (draws and rewards included), `observations` writes what is seen after them. All are per game
//! and step.

use std::hint::black_box;

use _core::batch::Batch;
use _core::named::named_scenario;
use _core::observe::Observer;
use _core::rewards::{Counts, Night, Rewards};
use _core::rng::{Chance, Pcg64};
use _core::rules::{Rules, ACTION};
use _core::shard::Step;
use _core::state::{Games, BURNING, RUINED, SAFE};
use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion, Throughput};

const SEATS: usize = 4;
/// Games in the benches of parts: few enough for the caches.
const GAMES: usize = 1024;
const MAX_CYCLES: u32 = 1000;

fn actions(rng: &mut Pcg64, games: usize, seats: usize, houses: usize) -> Vec<i32> {
    let action = |_| [rng.below(houses) as i32, rng.below(2) as i32, rng.below(2) as i32];
    (0..games * seats).flat_map(action).collect()
}

/// A batch with its arrays, some hundred nights into its games.
struct Bench {
    batch: Batch,
    actions: Vec<Vec<i32>>,
    turn: usize,
    observations: Vec<f32>,
    finals: Vec<f32>,
    rewards: Vec<f32>,
    flags: (Vec<bool>, Vec<bool>),
    returns: Vec<f64>,
    lengths: Vec<i32>,
}

impl Bench {
    fn new(games: usize, seats: usize, threads: usize) -> Self {
        let scenario = named_scenario("default").expect("known").clone();
        let seeds: Vec<u64> = (0..games as u64).collect();
        let houses = scenario.num_houses();
        let batch = Batch::new(scenario, seats, MAX_CYCLES, &seeds, threads).expect("valid");
        let size = batch.observer().size() * games;
        let mut rng = Pcg64::new(1);
        let turns = (100_000 / games).clamp(2, 16);
        let mut bench = Self {
            batch,
            actions: (0..turns).map(|_| actions(&mut rng, games, seats, houses)).collect(),
            turn: 0,
            observations: vec![0.0; size],
            finals: vec![0.0; size],
            rewards: vec![0.0; games * seats],
            flags: (vec![false; games], vec![false; games]),
            returns: vec![0.0; games * seats],
            lengths: vec![0; games],
        };
        for _ in 0..100 {
            bench.step();
        }
        bench
    }

    fn step(&mut self) {
        self.turn = (self.turn + 1) % self.actions.len();
        let step = Step {
            actions: &self.actions[self.turn],
            observations: &mut self.observations,
            rewards: &mut self.rewards,
            terminated: &mut self.flags.0,
            truncated: &mut self.flags.1,
            final_observations: &mut self.finals,
            returns: &mut self.returns,
            lengths: &mut self.lengths,
        };
        self.batch.step(step).expect("legal actions");
    }
}

fn whole_steps(c: &mut Criterion) {
    let mut group = c.benchmark_group("step");
    for games in [64, 1024, 8192, 65_536] {
        group.throughput(Throughput::Elements(games as u64));
        let mut bench = Bench::new(games, SEATS, 1);
        group.bench_function(BenchmarkId::new("games", games), |b| b.iter(|| bench.step()));
    }
    for seats in [1, 2, 8, 16] {
        group.throughput(Throughput::Elements(GAMES as u64));
        let mut bench = Bench::new(GAMES, seats, 1);
        group.bench_function(BenchmarkId::new("agents", seats), |b| b.iter(|| bench.step()));
    }
    group.throughput(Throughput::Elements(8192));
    let mut bench = Bench::new(8192, SEATS, 2);
    group.bench_function("2 threads", |b| b.iter(|| bench.step()));
    group.finish();
}

fn parts(c: &mut Criterion) {
    let scenario = named_scenario("default").expect("known");
    let rules = Rules::new(scenario, SEATS).expect("valid");
    let observer = Observer::new(scenario, &rules).expect("valid");
    let houses = rules.num_houses;
    let mut rng = Pcg64::new(2);
    let mut games =
        Games::new(&(0..GAMES as u64).collect::<Vec<_>>(), houses, SEATS).expect("enough memory");
    for game in 0..GAMES {
        rules.reset(&mut games.game_mut(game));
    }
    let given: Vec<Vec<i32>> = (0..16).map(|_| actions(&mut rng, GAMES, SEATS, houses)).collect();
    let (mut scratch, mut rewards) = (rules.scratch(), vec![0.0; GAMES * SEATS]);
    let mut play = |games: &mut Games, night: usize| {
        let actions = given[night % given.len()].chunks_exact(SEATS * ACTION);
        let each = actions.zip(rewards.chunks_exact_mut(SEATS));
        for (index, (actions, rewards)) in each.enumerate() {
            let mut game = games.game_mut(index);
            if game.head.done {
                rules.reset(&mut game);
            }
            rules.play(&mut game, actions, &mut scratch, rewards);
        }
    };
    for night in 0..100 {
        play(&mut games, night);
    }
    let before = games.clone();
    play(&mut games, 100);

    let mut group = c.benchmark_group("parts");
    group.throughput(Throughput::Elements(GAMES as u64));

    // Each fire was fought with a draw, and each house that it left safe might ignite.
    let draws: usize = (0..GAMES)
        .map(|game| {
            let (was, is) = (before.game(game).houses, games.game(game).houses);
            let fires = was.iter().filter(|&&house| house == BURNING).count();
            fires + is.iter().filter(|&&house| house != RUINED).count()
        })
        .sum();
    let chance = Chance::new(0.02);
    group.bench_function("draws", |b| {
        b.iter(|| (0..draws).map(|_| u32::from(rng.happens(chance))).sum::<u32>());
    });

    let terms = Rewards::new(scenario, SEATS);
    let pays = |was: &[u8], is: &[u8]| -> Vec<u32> {
        let pays = |h: usize| is[h] == RUINED || was[h] == BURNING && is[h] == SAFE;
        (0..houses).filter(|&h| pays(h)).map(|h| h as u32).collect()
    };
    let paying: Vec<Vec<u32>> =
        (0..GAMES).map(|g| pays(before.game(g).houses, games.game(g).houses)).collect();
    let workers = vec![1; houses];
    let mut paid = vec![0.0; SEATS];
    group.bench_function("rewards", |b| {
        b.iter(|| {
            for (index, paying) in paying.iter().enumerate() {
                let (was, is) = (before.game(index), games.game(index));
                let night = Night {
                    before: was.houses,
                    after: is.houses,
                    counts: (Counts::of(was.houses), Counts::of(is.houses)),
                    paying,
                    workers: &workers,
                    seats: is.seats,
                    homes: &rules.homes,
                    done: false,
                };
                terms.pay(&night, &mut paid);
                black_box(&paid);
            }
        });
    });

    let mut rows = observer.rows().expect("enough memory");
    let mut seen = vec![0.0; observer.size() * GAMES];
    group.bench_function("observations", |b| {
        b.iter(|| {
            for (index, row) in seen.chunks_exact_mut(observer.size()).enumerate() {
                observer.write(games.game(index), false, &mut rows, row);
            }
            black_box(&seen);
        });
    });

    let mut night = 101;
    group.bench_function("night", |b| {
        b.iter(|| {
            night += 1;
            play(&mut games, night);
        });
    });
    group.finish();
}

criterion_group!(benches, whole_steps, parts);
criterion_main!(benches);
