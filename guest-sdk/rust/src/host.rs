//! The functions that the host offers, in one place: real imports inside a component, test doubles
//! anywhere else. Nothing but the call itself.

#[cfg(target_arch = "wasm32")]
pub(crate) use crate::guest::host::{
    assignment, log, pause, reconfigure, resume, resume_points, seek,
};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use double::{assignment, log, pause, reconfigure, resume, resume_points, seek};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod double {
    //! What stands in for the host natively: one per thread, and one per test driver while it runs.

    use std::cell::RefCell;

    use crate::log::Level;
    use crate::sink::Queue;
    use crate::source::ResumePoint;

    /// Messages kept for a test to read; older ones are dropped.
    const MESSAGES: usize = 4096;

    /// What the host knows and what it was told.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct Double {
        pub(crate) messages: Vec<(Level, String)>,
        pub(crate) stored: Vec<ResumePoint>,
        pub(crate) reconfigured: usize,
        pub(crate) assignment: Vec<Queue>,
        pub(crate) seeks: Vec<(Queue, u64)>,
        pub(crate) paused: Vec<Queue>,
    }

    thread_local! {
        static DOUBLE: RefCell<Double> = RefCell::default();
    }

    fn with<R>(act: impl FnOnce(&mut Double) -> R) -> R {
        DOUBLE.with_borrow_mut(act)
    }

    /// Puts `double` in the place of this thread's host, and back; a driver does so around each call.
    pub(crate) fn swap(double: &mut Double) {
        with(|host| std::mem::swap(host, double));
    }

    pub(crate) fn log(level: Level, message: &str) {
        with(|host| {
            if host.messages.len() >= MESSAGES {
                host.messages.drain(..MESSAGES / 2);
            }
            host.messages.push((level, message.to_owned()));
        });
    }

    pub(crate) fn resume_points(partitions: Option<&[String]>) -> Vec<ResumePoint> {
        let wanted =
            |point: &&ResumePoint| partitions.is_none_or(|names| names.contains(&point.partition));
        with(|host| host.stored.iter().filter(wanted).cloned().collect())
    }

    pub(crate) fn reconfigure() {
        with(|host| host.reconfigured += 1);
    }

    pub(crate) fn assignment() -> Vec<Queue> {
        with(|host| host.assignment.clone())
    }

    pub(crate) fn seek(queue: &Queue, offset: u64) {
        with(|host| host.seeks.push((queue.clone(), offset)));
    }

    pub(crate) fn pause(queues: &[Queue]) {
        with(|host| {
            host.paused.retain(|queue| !queues.contains(queue));
            host.paused.extend_from_slice(queues);
        });
    }

    pub(crate) fn resume(queues: &[Queue]) {
        with(|host| host.paused.retain(|queue| !queues.contains(queue)));
    }
}
