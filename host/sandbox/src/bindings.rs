//! The generated side of the wall: one module per published WIT version, each with its own
//! conversions to the types of this crate. A version that is published never changes; the next one
//! gets a module beside it, with `with:` for the interfaces that stayed the same.

pub(crate) mod v0_1;

/// Versions of `rocketmq:connect` that this worker speaks, as major and minor number.
pub(crate) const SUPPORTED: &[(u64, u64)] = &[(0, 1)];
