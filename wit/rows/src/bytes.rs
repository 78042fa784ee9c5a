//! Little-endian integers at fixed places of fixed rows, and copies of short slices. Must never panic: the places
//! are constants inside the row, so the fallbacks below are never taken and the optimiser drops them.

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
