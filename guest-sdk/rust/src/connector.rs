//! What sources, sinks and transforms have in common: describing themselves and planning their work.

use crate::Result;
use crate::describe::{Description, Need, Plan};
use crate::failure::Problem;
use crate::settings::Settings;

/// The part of a plugin that answers questions about it. No instance exists yet when these run;
/// `describe` and `needs` run without any access, the others with what was needed and granted.
pub trait Connector: Sized + 'static {
    /// Name, version, options.
    fn describe() -> Description;

    /// What these settings make it touch. Nothing by default. The settings may still be wrong:
    /// read them with [`Settings::get`] and leave out what cannot be told.
    fn needs(_settings: &Settings) -> Vec<Need> {
        Vec::new()
    }

    /// What is wrong with these settings beyond what the description lets the host check. Nothing
    /// by default.
    fn validate(_settings: &Settings) -> Vec<Problem> {
        Vec::new()
    }

    /// Cuts the work into at most `max_tasks` tasks. One task with these settings by default.
    ///
    /// # Errors
    /// A failure leaves the connector without tasks; a retriable one is asked again.
    fn task_settings(settings: &Settings, _max_tasks: u32) -> Result<Plan> {
        Ok(Plan::one(settings))
    }
}
