//! What is measured of pipelines: which way records go, who moves them, how large they are and how many
//! at once.

use std::time::Duration;

use connect_bench::Goal;

use crate::stage::Kind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Source,
    Sink,
    Relay,
}

impl Flow {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Source => "file to topic",
            Self::Sink => "topic to file",
            Self::Relay => "file to topic to file",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Worker,
    Native,
    Again,
    Bare,
}

impl Subject {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Native => "native",
            Self::Again => "native again",
            Self::Bare => "bare client",
        }
    }

    pub(crate) fn baseline(self) -> Option<(&'static str, Option<Goal>)> {
        match self {
            Self::Worker => Some(("native", Some(Goal::AtLeast(950)))),
            Self::Native => Some(("bare client", Some(Goal::AtLeast(900)))),
            Self::Again => Some(("native", None)),
            Self::Bare => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) kind: Kind,
    pub(crate) flow: Flow,
    pub(crate) bytes: usize,
    pub(crate) tasks: usize,
    pub(crate) records: u64,
}

impl Case {
    pub(crate) fn name(&self) -> String {
        let plural = if self.tasks == 1 { "" } else { "s" };
        format!(
            "{}, {} B, {} task{plural}, {}",
            self.flow.name(),
            self.bytes,
            self.tasks,
            self.kind.name()
        )
    }

    pub(crate) fn subjects(&self) -> Vec<Subject> {
        let mut subjects = vec![Subject::Worker, Subject::Native, Subject::Again];
        // nobody is both at once
        if self.flow != Flow::Relay {
            subjects.push(Subject::Bare);
        }
        subjects
    }

    /// One file and one queue a task; more queues where the worker shares files out by their names.
    pub(crate) fn queues(&self) -> u32 {
        if self.tasks == 1 { 1 } else { 16 }
    }
}

/// What one run showed.
pub(crate) struct Run {
    pub(crate) rate: f64,
    /// Processor seconds for a million records, broker left out; nothing for the bare client.
    pub(crate) cpu: f64,
    /// What whoever did it holds afterwards, in bytes; nothing for the bare client.
    pub(crate) resident: u64,
}

impl Run {
    /// Of `records`, of which so many were there after so many seconds, `first` and `then`.
    pub(crate) fn of(
        records: u64,
        first: (f64, f64),
        then: (f64, f64),
        cpu: Duration,
        resident: u64,
    ) -> Self {
        Self {
            rate: (then.0 - first.0) / (then.1 - first.1).max(1e-3),
            cpu: cpu.as_secs_f64() / records as f64 * 1e6,
            resident,
        }
    }
}
