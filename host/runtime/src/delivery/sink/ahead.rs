//! How far the reader of a queue may be ahead of its sink: some pulls, so that a flush does not stop the
//! reading, and fewer where they are large. Only counts; must not hold what was pulled.

use std::sync::Arc;

use tokio::sync::watch;

/// Pulls that may be under way or unused.
const PULLS: u32 = 4;
/// No further one begins while those that are unused hold so many bytes.
const BYTES: usize = 2 * 1024 * 1024;

/// What was pulled and is not used up. Clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Ahead(Arc<watch::Sender<Unused>>);

#[derive(Clone, Copy, Debug, Default)]
struct Unused {
    pulls: u32,
    bytes: usize,
}

impl Ahead {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Unused::default())))
    }

    /// Waits until another pull may begin.
    pub(crate) async fn room(&self) {
        let mut unused = self.0.subscribe();
        let has_room = |unused: &Unused| unused.pulls < PULLS && unused.bytes < BYTES;
        // it ends only with the sender, which is held here
        let _seen = unused.wait_for(has_room).await;
    }

    /// A pull has brought so many bytes.
    pub(crate) fn brought(&self, bytes: usize) {
        self.0.send_modify(|unused| {
            unused.pulls = unused.pulls.saturating_add(1);
            unused.bytes = unused.bytes.saturating_add(bytes);
        });
    }

    /// What a pull has brought is used up.
    pub(crate) fn used(&self, bytes: usize) {
        self.0.send_modify(|unused| {
            unused.pulls = unused.pulls.saturating_sub(1);
            unused.bytes = unused.bytes.saturating_sub(bytes);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn has_room(ahead: &Ahead) -> bool {
        ahead.room().now_or_never().is_some()
    }

    #[test]
    fn a_few_small_pulls_and_fewer_large_ones() {
        let ahead = Ahead::new();
        for _ in 0..PULLS {
            assert!(has_room(&ahead));
            ahead.brought(10);
        }
        assert!(!has_room(&ahead));
        ahead.used(10);
        assert!(has_room(&ahead));
        ahead.brought(BYTES);
        ahead.used(10);
        assert!(!has_room(&ahead), "by bytes");
        ahead.used(BYTES);
        assert!(has_room(&ahead));
    }

    #[tokio::test]
    async fn whoever_waits_is_told_of_room() {
        let ahead = Ahead::new();
        ahead.brought(BYTES);
        let waiting = ahead.clone();
        let waits = tokio::spawn(async move { waiting.room().await });
        tokio::task::yield_now().await;
        ahead.used(BYTES);
        waits.await.unwrap();
    }
}
