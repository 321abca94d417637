//! The core of brigade: the game's rules, and everything that has to be fast.
//!
//! | module       | what it knows |
//! | ------------ | ------------- |
//! | `parameter`, `scenario`, `named` | what games there are |
//! | `rng`, `draws`, `state`, `rules`, `rewards` | one night of one game |
//! | `observe`    | what a seat sees |
//! | `engine`     | one game |
//! | `shard`, `pool`, `batch` | many games, on several threads |
//! | `heuristics` | scripted agents |
//! | `bytes`      | games as bytes |
//! | `python`     | the extension module; nothing else knows of Python |
//!
//! Arrays are flat, in C order; comments give their shapes, as `(games, seats)`.

pub mod batch;
pub mod bytes;
pub mod draws;
pub mod engine;
pub mod error;
pub mod heuristics;
pub mod named;
pub mod nearest;
pub mod observe;
pub mod parameter;
pub mod pool;
pub mod rewards;
pub mod rng;
pub mod rules;
pub mod scenario;
pub mod shard;
pub mod state;

#[cfg(feature = "python")]
mod python;
