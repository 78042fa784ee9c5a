//! How benches measure and print on a machine that they do not have for themselves: time on the processor instead of
//! wall time, samples of all cases round-robin, and ratios within a round. Must know nothing of what is measured.

mod measure;
mod table;

pub use measure::{Case, Effort, Figures, Ratio, run};
pub use table::Table;
