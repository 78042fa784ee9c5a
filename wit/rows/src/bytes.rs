//! Little-endian integers at fixed places of fixed rows, and short slices copied and compared. Must never panic: the
//! places are constants inside the row, so the fallbacks below are never taken and the optimiser drops them.
//!
//! In a guest every copy of more than eight bytes is a call into the engine, and comparing slices goes byte by byte.
//! Rows and most keys, header values and names are short, so they are copied and compared by words here.

/// Up to this many bytes, a guest copies faster by words than by a call into the engine.
const SHORT: usize = 64;

/// Reads `N` bytes at `AT`.
#[inline(always)]
fn read<const AT: usize, const N: usize>(row: &[u8]) -> [u8; N] {
    row.get(AT..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
        .unwrap_or([0; N])
}

/// Writes `N` bytes at `AT`.
#[inline(always)]
pub(crate) fn write<const AT: usize, const N: usize>(row: &mut [u8], bytes: [u8; N]) {
    if let Some(place) = row
        .get_mut(AT..)
        .and_then(|rest| rest.first_chunk_mut::<N>())
    {
        *place = bytes;
    }
}

#[inline(always)]
pub(crate) fn u16_at<const AT: usize>(row: &[u8]) -> u16 {
    u16::from_le_bytes(read::<AT, 2>(row))
}

#[inline(always)]
pub(crate) fn u32_at<const AT: usize>(row: &[u8]) -> u32 {
    u32::from_le_bytes(read::<AT, 4>(row))
}

#[inline(always)]
pub(crate) fn u64_at<const AT: usize>(row: &[u8]) -> u64 {
    u64::from_le_bytes(read::<AT, 8>(row))
}

/// Appends `bytes`.
#[inline]
pub(crate) fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    if cfg!(target_family = "wasm") && bytes.len() <= SHORT {
        append_words(out, bytes);
    } else {
        out.extend_from_slice(bytes);
    }
}

#[inline]
fn append_words(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len());
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        out.extend_from_slice(word);
    }
    let (half, rest) = rest.as_chunks::<4>();
    for half in half {
        out.extend_from_slice(half);
    }
    for byte in rest {
        out.push(*byte);
    }
}

/// Whether two texts are the same.
#[inline]
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.len() == other.len() && same_words(one.as_bytes(), other.as_bytes())
}

/// Whether two slices of the same length hold the same bytes. Up to sixteen bytes are two words that may overlap.
#[inline]
fn same_words(one: &[u8], other: &[u8]) -> bool {
    if let (Some(first), Some(last)) = (one.first_chunk::<8>(), one.last_chunk::<8>()) {
        other.first_chunk::<8>() == Some(first)
            && other.last_chunk::<8>() == Some(last)
            && (one.len() <= 16 || one.as_chunks::<8>().0 == other.as_chunks::<8>().0)
    } else if let (Some(first), Some(last)) = (one.first_chunk::<4>(), one.last_chunk::<4>()) {
        other.first_chunk::<4>() == Some(first) && other.last_chunk::<4>() == Some(last)
    } else {
        one.iter().zip(other).all(|(one, other)| one == other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn short_slices_are_appended_whole(before in "[a-z]{0,9}", bytes in proptest::collection::vec(any::<u8>(), 0..70)) {
            let mut out = before.clone().into_bytes();
            append_words(&mut out, &bytes);
            prop_assert_eq!(out, [before.as_bytes(), &bytes].concat());
        }

        #[test]
        fn texts_are_the_same_when_they_are(one in "[ab]{0,30}", other in "[ab]{0,30}", at in 0..30usize) {
            prop_assert!(same(&one, &one.clone()));
            prop_assert_eq!(same(&one, &other), one == other);
            // One letter apart, wherever it is.
            let changed: String = one.chars().enumerate().map(|(index, letter)| if index == at { 'c' } else { letter }).collect();
            prop_assert_eq!(same(&one, &changed), one == changed);
        }
    }
}
