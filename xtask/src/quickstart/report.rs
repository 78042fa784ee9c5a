//! What the quickstart tells at its end: how long each part took, where things are, what to type.

use std::time::{Duration, Instant};

use super::sample::Sample;
use super::services::Services;

/// Times of the parts of one run.
pub(crate) struct Phases {
    begun: Instant,
    last: Instant,
    noted: Vec<(&'static str, Duration, Duration)>,
}

impl Phases {
    pub(crate) fn begin() -> Self {
        let now = Instant::now();
        Self {
            begun: now,
            last: now,
            noted: Vec::new(),
        }
    }

    /// The part called `name` ends now.
    pub(crate) fn note(&mut self, name: &'static str) {
        let now = Instant::now();
        self.noted.push((name, now - self.last, now - self.begun));
        self.last = now;
    }

    /// The same, unless it has ended before.
    pub(crate) fn note_once(&mut self, name: &'static str) {
        if self.noted.iter().all(|(noted, ..)| *noted != name) {
            self.note(name);
        }
    }

    pub(crate) fn print(&self) {
        for (name, part, since) in &self.noted {
            println!(
                "  {name:<13} {:>7.1} s   (at {:.1} s)",
                part.as_secs_f64(),
                since.as_secs_f64()
            );
        }
    }
}

/// Where everything is and what to try next.
pub(crate) fn where_things_are(services: &Services, sample: &Sample) {
    let rest = services.rest();
    println!(
        "\nStill running (Ctrl-C stops everything):\n\
         \x20 source file  {}\n\
         \x20 sink file    {}\n\
         \x20 worker       {rest}   configuration {}   log {}\n\
         \x20 broker       name server {}{}\n\n\
         Next:\n\
         \x20 echo hello >> {}\n\
         \x20 tail -n 1 {}\n\
         \x20 curl {rest}/connectors/list\n\
         \x20 curl {rest}/connectors/fileSourceConnector/status\n\
         \x20 curl {rest}/connectors/fileSinkConnector/pause\n\
         \x20 curl {rest}/connectors/fileSinkConnector/resume\n\
         \x20 curl {rest}/plugin/list\n\
         \x20 curl {rest}/connectors/fileSourceConnector/stop",
        sample.source.display(),
        sample.sink.display(),
        services.configuration().display(),
        services.worker_log().display(),
        services.namesrv(),
        services
            .broker_log()
            .map(|log| format!("   log {}", log.display()))
            .unwrap_or_default(),
        sample.source.display(),
        sample.sink.display(),
    );
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(100_000), "100 000");
        assert_eq!(grouped(1_234_567), "1 234 567");
    }
}
