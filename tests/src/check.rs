//! The verdict: does what arrived hold every line that was sent, in order, and nothing twice but
//! what a crash may repeat?
//!
//! Three questions, each exact. [`walk`]: is this a run through the source that only ever jumps
//! back? [`stream`]: do the lives of a sink fit together at the offsets that were durable between
//! them? [`lives`]: did a sink write exactly the queue's records from its durable offset on?

use std::collections::HashMap;

use anyhow::{Result, bail, ensure};

use crate::outline;

/// A place where lines begin to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// Index in what arrived.
    pub at: usize,
    /// The line that would have come next.
    pub from: usize,
    /// The line that came instead; never after `from`.
    pub to: usize,
}

/// What one life of a sink wrote to one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Lines in the file when it began.
    pub start: usize,
    /// The queue offset that was durable when it began.
    pub offset: u64,
}

/// Walks through `arrived`: each line must be the next one of `sent`, or a step back to an earlier
/// one. The walk must end at the end of `sent`. Gives the steps back.
///
/// # Errors
/// A line is missing, changed, out of order or not of this source. Lines are numbered from 1.
pub fn walk(sent: &[u64], arrived: &[u64]) -> Result<Vec<Jump>> {
    let empty = outline::empty();
    let known: HashMap<u64, usize> = sent
        .iter()
        .enumerate()
        .filter(|(_, hash)| **hash != empty)
        .map(|(at, hash)| (*hash, at))
        .collect();
    let mut jumps = Vec::new();
    let (mut next, mut at) = (0, 0);
    while let Some(line) = arrived.get(at) {
        if sent.get(next) == Some(line) {
            next += 1;
            at += 1;
            continue;
        }
        // Empty lines do not say where they are from: the first one that does decides.
        let rest = arrived.get(at..).unwrap_or_default();
        let blank = rest.iter().take_while(|hash| **hash == empty).count();
        let Some(marker) = rest.get(blank) else {
            bail!(
                "arrived line {}: {blank} empty lines too many at the end",
                at + 1
            );
        };
        let Some(line) = known.get(marker) else {
            bail!("arrived line {}: no such line was sent", at + blank + 1);
        };
        let Some(to) = line.checked_sub(blank) else {
            bail!(
                "arrived line {}: {blank} empty lines before line {}",
                at + 1,
                line + 1
            );
        };
        ensure!(
            to < next,
            "arrived line {}: line {} is missing, line {} came instead",
            at + 1,
            next + 1,
            to + 1
        );
        ensure!(
            sent.get(to..=*line) == rest.get(..=blank),
            "arrived line {}: empty lines where there are none before line {}",
            at + 1,
            line + 1
        );
        jumps.push(Jump { at, from: next, to });
        next = to;
    }
    ensure!(
        next == sent.len(),
        "the end is missing: line {} of {} is the last that arrived",
        next,
        sent.len()
    );
    Ok(jumps)
}

/// Puts the lives of a sink that writes one file for a queue together to what the queue holds:
/// each life must begin at its durable offset and repeat exactly what was written from there on.
/// Gives the queue's lines by offset, and how many lines were written again in all.
///
/// # Errors
/// A life repeats something from before its durable offset, or leaves records out.
pub fn stream(arrived: &[u64], lives: &[Life]) -> Result<(Vec<u64>, u64)> {
    let mut queue: Vec<u64> = Vec::new();
    let mut repeated = 0;
    for (number, life) in lives.iter().enumerate() {
        let end = lives
            .get(number + 1)
            .map_or(arrived.len(), |next| next.start);
        let Some(written) = arrived.get(life.start..end) else {
            bail!(
                "life {number} began with {} lines, now there are {}",
                life.start,
                arrived.len()
            );
        };
        for (at, line) in (life.start..).zip(written) {
            let offset = usize::try_from(life.offset)? + at - life.start;
            match queue.get(offset) {
                Some(known) if known == line => repeated += 1,
                Some(_) => bail!(
                    "life {number}, line {}: began at the durable offset {}, but this is not the \
                     record at offset {offset}",
                    at + 1,
                    life.offset
                ),
                None if offset == queue.len() => queue.push(*line),
                None => bail!(
                    "life {number}, line {}: offset {} was durable but only {} had been written",
                    at + 1,
                    life.offset,
                    queue.len()
                ),
            }
        }
    }
    Ok((queue, repeated))
}

/// Checks a file that holds some records of a queue (`records`: offset and line, in order): each
/// life must have written the records from its durable offset on, the last one up to the end.
/// Gives how many lines were written again.
///
/// # Errors
/// As [`stream`].
pub fn lives(arrived: &[u64], lives: &[Life], records: &[(u64, u64)]) -> Result<u64> {
    let mut high = 0;
    let mut repeated = 0;
    for (number, life) in lives.iter().enumerate() {
        let end = lives
            .get(number + 1)
            .map_or(arrived.len(), |next| next.start);
        let Some(written) = arrived.get(life.start..end) else {
            bail!(
                "life {number} began with {} lines, now there are {}",
                life.start,
                arrived.len()
            );
        };
        let first = records.partition_point(|(offset, _)| *offset < life.offset);
        ensure!(
            first <= high,
            "life {number}: offset {} was durable, but record {high} of this file had not been \
             written",
            life.offset
        );
        for (at, (line, place)) in written.iter().zip(first..).enumerate() {
            ensure!(
                records.get(place).is_some_and(|(_, record)| record == line),
                "life {number}, line {}: not the record that follows the durable offset {}",
                life.start + at + 1,
                life.offset
            );
        }
        let last = first + written.len();
        repeated += (last.min(high) - first.min(last)) as u64;
        high = high.max(last);
    }
    ensure!(
        high == records.len(),
        "{} of {} records were written",
        high,
        records.len()
    );
    Ok(repeated)
}

#[cfg(test)]
mod tests;
