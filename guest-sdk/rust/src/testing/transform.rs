//! The worker as a transform sees it.

use super::on;
use super::record::{TestRecord, batch, owned};
use crate::Result;
use crate::host::double::Double;
use crate::log::Level;
use crate::settings::Settings;
use crate::sink::Rejected;
use crate::task::TransformTask;
use crate::transform::Transform;

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The output, in order, each with the index of its input as `origin`.
    pub records: Vec<TestRecord>,
    /// Inputs that cannot be transformed.
    pub rejected: Vec<Rejected>,
}

/// Opens a transform and applies it.
///
/// ```
/// use connect_sdk::testing::{record, TransformDriver};
/// # use connect_sdk::{Batch, Connector, Description, Records, Rejected, Result, Settings, Transform};
/// # struct NotEmpty;
/// # impl Connector for NotEmpty { fn describe() -> Description { Description::new("not-empty", "1.0.0", "") } }
/// # impl Transform for NotEmpty {
/// #     fn open(_: &Settings) -> Result<Self> { Ok(Self) }
/// #     fn apply(&mut self, input: &Records<'_>, output: &mut Batch) -> Result<Vec<Rejected>> {
/// #         for record in input.records().filter(|record| !record.value().unwrap_or_default().is_empty()) {
/// #             output.keep(&record).finish()?;
/// #         }
/// #         Ok(Vec::new())
/// #     }
/// # }
/// let mut transform = TransformDriver::<NotEmpty>::open([("x", "y")])?;
/// let applied = transform.apply(&[record("a"), record(""), record("b")])?;
/// assert_eq!(applied.records[1].text(), "b");
/// assert_eq!(applied.records[1].origin, 2);
/// # Ok::<(), connect_sdk::Failure>(())
/// ```
#[derive(Debug)]
pub struct TransformDriver<T> {
    task: TransformTask<T>,
    host: Double,
}

impl<T: Transform> TransformDriver<T> {
    /// Opens a transform.
    ///
    /// # Errors
    /// What `open` answers.
    pub fn open(settings: impl Into<Settings>) -> Result<Self> {
        let mut driver = Self {
            task: TransformTask::new(),
            host: Double::default(),
        };
        let settings = settings.into();
        on(&mut driver.host, || driver.task.open(settings))?;
        Ok(driver)
    }

    /// Transforms a batch.
    ///
    /// # Errors
    /// What `apply` answers.
    pub fn apply(&mut self, records: &[TestRecord]) -> Result<Applied> {
        let input = batch(records)?;
        let applied = on(&mut self.host, || self.task.apply(&input))?;
        Ok(Applied {
            records: owned(&applied.parts),
            rejected: applied.rejected,
        })
    }

    /// What was logged since it was opened.
    pub fn messages(&self) -> &[(Level, String)] {
        &self.host.messages
    }
}
