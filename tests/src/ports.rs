//! Free ports for servers that must keep theirs over a restart.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail};

/// Below the range from which the system takes ports for outgoing connections.
const FIRST: u32 = 20_000;
const LAST: u32 = 31_000;
/// A broker uses ports beside the one it is told.
const BLOCK: u32 = 16;

/// The first of a block of ports that no one listens on; no two calls of one process,
/// and hardly two of different ones, get the same.
///
/// # Errors
/// All ports are in use.
pub fn free_block() -> Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let blocks = (LAST - FIRST) / BLOCK;
    let mine = std::process::id().wrapping_mul(37) % blocks;
    for _ in 0..blocks {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let first = FIRST + (mine + step) % blocks * BLOCK;
        let ports = (first..first + BLOCK).filter_map(|port| u16::try_from(port).ok());
        if ports
            .clone()
            .all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
            && let Some(port) = ports.min()
        {
            return Ok(port);
        }
    }
    bail!("no {BLOCK} free ports in a row between {FIRST} and {LAST}")
}
