//! Locking without a panic: what these locks guard is whole after every statement, so a panic
//! elsewhere while one was held is no reason to stop. No lock taken here is held across an await.

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
