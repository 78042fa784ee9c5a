//! The one hash whose values may never change: queues of keys, tasks of queues and group names
//! follow from it, and must be the same after an update.

/// FNV-1a, 64 bits (offset basis 0xcbf29ce484222325, prime 0x100000001b3), its halves folded
/// together so that few queues are filled evenly too.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in bytes {
        hash ^= u64::from(*byte);
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn the_hash_never_changes() {
        // reference value of FNV-1a 64 for "a": af63dc4c8601ec8c
        assert_eq!(
            hash(b"a"),
            0xaf63_dc4c_8601_ec8c ^ (0xaf63_dc4c_8601_ec8c >> 32)
        );
    }
}
