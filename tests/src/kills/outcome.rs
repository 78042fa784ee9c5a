//! How a run of kills went, and whether it could have found anything.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, ensure};

use super::Plan;
use crate::delivery::Report;
use crate::worker::FAIL_POINTS;

/// How a run went.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What was lost, repeated, reordered.
    pub report: Report,
    /// Kills that landed at each fail point.
    pub at_points: BTreeMap<&'static str, u64>,
    /// Kills at moments that chance chose.
    pub at_random: u64,
    /// Kills together with the broker, after that had stopped answering.
    pub with_broker: u64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; kills: {} at random, {} together with a frozen broker",
            self.report, self.at_random, self.with_broker
        )?;
        for (point, count) in &self.at_points {
            write!(f, ", {count} at {point}")?;
        }
        Ok(())
    }
}

impl Outcome {
    /// A run that could not have found anything is no success.
    pub(super) fn judge(&self, plan: &Plan) -> Result<()> {
        let repeats = self.report.sent_again + self.report.written_again;
        if plan.kills == 0 {
            ensure!(
                repeats == 0,
                "{repeats} lines came twice although nothing was killed"
            );
            return Ok(());
        }
        ensure!(
            repeats > 0,
            "{} kills and not one line came twice: they hit nothing",
            plan.kills
        );
        if plan.fail_points {
            let landed: u64 = self.at_points.values().sum();
            ensure!(
                landed * 3 >= plan.kills,
                "only {landed} of {} kills landed at fail points",
                plan.kills
            );
            for point in FAIL_POINTS {
                let count = self.at_points.get(point).copied().unwrap_or(0);
                ensure!(plan.kills < 8 || count > 0, "no kill landed at {point}");
            }
        }
        Ok(())
    }
}
