//! Records that a sink or a transform refused, checked: each of the batch, each once.

use crate::bindings::v0_1::rocketmq::connect::records;
use crate::text;

/// A record that can never succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its place in the batch that was given.
    pub index: u32,
    /// The plugin's words.
    pub reason: String,
}

/// Checks what a guest gave for a batch of `records`; the answer is in order of the batch.
///
/// # Errors
/// The index that is wrong, and the bound.
pub(crate) fn rejected(
    of: Vec<records::Rejected>,
    records: usize,
) -> Result<Vec<Rejected>, String> {
    if of.len() > records {
        return Err(format!(
            "{} rejected records of a batch of {records}",
            of.len()
        ));
    }
    let mut all: Vec<Rejected> = of
        .into_iter()
        .map(|one| Rejected {
            index: one.index,
            reason: text::reason(&one.reason),
        })
        .collect();
    all.sort_by_key(|one| one.index);
    if let Some(last) = all.last()
        && last.index as usize >= records
    {
        return Err(format!(
            "record {} is rejected, but the batch has {records}",
            last.index
        ));
    }
    if let Some(twice) = all
        .windows(2)
        .find(|pair| matches!(pair, [a, b] if a.index == b.index))
    {
        let index = twice.first().map_or(0, |one| one.index);
        return Err(format!("record {index} is rejected twice"));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(indices: &[u32]) -> Vec<records::Rejected> {
        indices
            .iter()
            .map(|index| records::Rejected {
                index: *index,
                reason: "bad".repeat(5_000),
            })
            .collect()
    }

    #[test]
    fn indices_are_of_the_batch_once_and_come_back_in_order() {
        let found = rejected(given(&[2, 0]), 3).unwrap();
        assert_eq!(
            found.iter().map(|one| one.index).collect::<Vec<_>>(),
            [0, 2]
        );
        assert!(found.iter().all(|one| one.reason.len() < 3_000));
        assert_eq!(
            rejected(given(&[3]), 3).unwrap_err(),
            "record 3 is rejected, but the batch has 3"
        );
        assert_eq!(
            rejected(given(&[1, 0, 1]), 3).unwrap_err(),
            "record 1 is rejected twice"
        );
        assert_eq!(
            rejected(given(&[0]), 0).unwrap_err(),
            "1 rejected records of a batch of 0"
        );
        assert_eq!(rejected(Vec::new(), 0).unwrap(), []);
    }
}
