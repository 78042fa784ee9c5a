//! How benches measure and print on a machine that they do not have for themselves: baselines in the same run, samples
//! of all cases round-robin, and ratios within a round. Must know nothing of what is measured.

mod measure;
mod report;
mod table;

pub use measure::{Case, Effort, Figures, Ratio, run};
pub use report::{Chapter, Goal, Series, Spread};
pub use table::Table;
