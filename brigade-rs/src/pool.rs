//! Threads for the shards of a batch.
//!
//! Promises: which thread runs a shard changes nothing in its games; after a fork the child gets
//! threads of its own instead of waiting for its parent's.

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Invalid, Result};
use crate::shard::{Shard, Sizes};

/// Threads of this process.
#[derive(Debug)]
pub struct Pool {
    /// There until dropped.
    threads: Option<ThreadPool>,
    count: usize,
    process: u32,
}

impl Pool {
    /// Starts threads.
    pub fn new(count: usize) -> Result<Self> {
        let name = |i| format!("brigade-{i}");
        let threads = ThreadPoolBuilder::new().num_threads(count).thread_name(name).build();
        let refused = |error| Invalid::new(format!("{count} threads cannot be started: {error}"));
        Ok(Self { threads: Some(threads.map_err(refused)?), count, process: std::process::id() })
    }

    /// The threads, started anew in a process that was forked off.
    fn here(&mut self) -> Option<&ThreadPool> {
        if self.process != std::process::id() {
            *self = Self::new(self.count).ok()?;
        }
        self.threads.as_ref()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            // The threads do not exist in this process: telling them to end could wait for ever.
            std::mem::forget(self.threads.take());
        }
    }
}

/// Arrays that can be cut between two games.
pub trait Split: Sized + Send {
    /// The part of the first `games` games, and the rest.
    fn split(self, games: usize, sizes: Sizes) -> (Self, Self);
}

/// Does the work of every shard: on the pool's threads if there are any.
pub fn run<W: Split>(
    pool: &mut Option<Pool>,
    shards: &mut [Shard],
    work: W,
    sizes: Sizes,
    task: &(impl Fn(&mut Shard, W) + Sync),
) {
    match pool.as_mut().and_then(Pool::here) {
        Some(threads) => threads.install(|| fan_out(shards, work, sizes, task)),
        None => one_by_one(shards, work, sizes, task),
    }
}

fn one_by_one<W: Split>(
    shards: &mut [Shard],
    work: W,
    sizes: Sizes,
    task: &impl Fn(&mut Shard, W),
) {
    let mut rest = work;
    for shard in shards {
        let (mine, others) = rest.split(shard.len(), sizes);
        task(shard, mine);
        rest = others;
    }
}

fn fan_out<W: Split>(
    shards: &mut [Shard],
    work: W,
    sizes: Sizes,
    task: &(impl Fn(&mut Shard, W) + Sync),
) {
    if shards.len() < 2 {
        return one_by_one(shards, work, sizes, task);
    }
    let (left, right) = shards.split_at_mut(shards.len() / 2);
    let games = left.iter().map(Shard::len).sum();
    let (first, second) = work.split(games, sizes);
    rayon::join(|| fan_out(left, first, sizes, task), || fan_out(right, second, sizes, task));
}
