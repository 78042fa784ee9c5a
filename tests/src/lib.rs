//! The harness of the black-box tests: starts the real binary against a real broker, feeds files,
//! kills processes, and compares what arrived with what was sent.
//!
//! The suites (`tests/suites`) and the full-size runs (`cargo xtask torture`) are both made of it.
//! Must never link the worker: what cannot be seen from outside is not promised to anyone.

pub mod check;
pub mod cluster;
pub mod delivery;
pub mod editions;
pub mod faults;
pub mod files;
pub mod folder;
pub mod house;
pub mod kills;
pub mod lines;
pub mod locate;
pub mod memory;
pub mod metrics;
pub mod neighbours;
pub mod outline;
pub mod ports;
pub mod process;
pub mod relay;
pub mod rest;
pub mod scenario;
pub mod skip;
pub mod store;
pub mod swaps;
pub mod wait;
pub mod wire;
pub mod worker;
