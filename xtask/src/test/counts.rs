//! Reading what the test runners print: how many passed, which failed, which had to be skipped.

use std::fmt;

/// Results of one or more test binaries.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    /// Tests that passed only because something was not there, each with what.
    pub(crate) skipped: Vec<String>,
    /// Names of the tests that failed.
    pub(crate) failures: Vec<String>,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.skipped.extend(other.skipped.iter().cloned());
        self.failures.extend(other.failures.iter().cloned());
    }

    /// Takes note of one line of a runner's output.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            for part in result.split([';', '.']) {
                let mut words = part.split_whitespace();
                let number = words.next().and_then(|word| word.parse::<u64>().ok());
                match (number, words.next()) {
                    (Some(number), Some("passed")) => self.passed += number,
                    (Some(number), Some("failed")) => self.failed += number,
                    (Some(number), Some("ignored")) => self.ignored += number,
                    _ => {}
                }
            }
        } else if let Some(test) = line.strip_prefix("test ")
            && let Some(name) = test.strip_suffix(" ... FAILED")
        {
            self.failures.push(name.to_owned());
        }
    }

    /// Takes note of tests that said they could not do their work: they are no passes.
    pub(crate) fn skip(&mut self, reasons: impl Iterator<Item = String>) {
        for reason in reasons {
            self.passed = self.passed.saturating_sub(1);
            self.skipped.push(reason);
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = self.skipped.len() as u64 + self.ignored;
        if self.passed + self.failed + skipped == 0 {
            return Ok(());
        }
        write!(
            f,
            "{} tests passed, {} failed, {skipped} skipped",
            self.passed, self.failed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn adds_up_the_runners_closing_lines() {
        let mut counts = Counts::default();
        for line in [
            "test one ... ok",
            "test folder::two ... FAILED",
            "test result: FAILED. 11 passed; 2 failed; 3 ignored; 0 measured; 0 filtered out; \
             finished in 0.31s",
            "test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out; finished \
             in 12.07s",
        ] {
            counts.read(line);
        }
        assert_eq!((counts.passed, counts.failed, counts.ignored), (15, 2, 3));
        assert_eq!(counts.failures, ["folder::two"]);
    }

    #[test]
    fn a_skipped_test_is_not_a_passed_one() {
        let mut counts = Counts::default();
        counts.read("test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured");
        counts.skip(["broker::name_server_restarts: needs java".to_owned()].into_iter());
        assert_eq!(counts.passed, 3);
        assert_eq!(counts.to_string(), "3 tests passed, 0 failed, 1 skipped");
    }
}
