//! Figures of whole processes as they go into a report: samples by case and subject, each with a
//! baseline that was measured in the same rounds. Must never show a ratio of figures of different
//! rounds, nor a goal without what was seen.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Table;

/// What is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Goal {
    /// The ratio must be at least so much per mille, in the lower quartile.
    AtLeast(u32),
    /// The ratio must be at most so much per mille, in the upper quartile.
    AtMost(u32),
    /// The figure itself must be at most so many thousandths of its unit, in the upper quartile.
    Below(u32),
}

/// Minimum, quartiles and maximum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub least: f64,
    /// The lower quartile.
    pub low: f64,
    /// The median.
    pub median: f64,
    /// The upper quartile.
    pub high: f64,
    /// The largest.
    pub most: f64,
}

/// What was measured of one subject in one case, a sample a round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Series {
    /// What was done, such as `file to topic, 256 B, 1 task, embedded broker`.
    pub case: String,
    /// Who did it, such as `worker`.
    pub subject: String,
    /// Of what the samples are, such as `records/s`.
    pub unit: String,
    /// One a round.
    pub samples: Vec<f64>,
    /// The subject it is compared with.
    pub baseline: Option<String>,
    /// What the comparison should show.
    pub goal: Option<Goal>,
}

/// All that was measured under one heading.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Chapter {
    /// Such as `P2`.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// The figures.
    pub series: Vec<Series>,
}

impl Spread {
    /// Of at least one sample; not a number without any.
    pub fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let last = sorted.len().saturating_sub(1) as f64;
            let (below, above) = ((last * share).floor(), (last * share).ceil());
            let one = |index: f64| sorted.get(index as usize).copied().unwrap_or(f64::NAN);
            one(below) + (one(above) - one(below)) * (last * share - below)
        };
        Self {
            least: at(0.0),
            low: at(0.25),
            median: at(0.5),
            high: at(0.75),
            most: at(1.0),
        }
    }
}

impl Goal {
    /// None where there is nothing to compare with.
    fn met(self, figure: &Spread, ratio: Option<&Spread>) -> Option<bool> {
        let most = |spread: &Spread, mille: u32| spread.high * 1_000.0 <= f64::from(mille);
        match self {
            Self::AtLeast(mille) => ratio.map(|ratio| ratio.low * 1_000.0 >= f64::from(mille)),
            Self::AtMost(mille) => ratio.map(|ratio| most(ratio, mille)),
            Self::Below(mille) => Some(most(figure, mille)),
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(mille) => format!(">= {}", f64::from(mille) / 1_000.0),
            Self::AtMost(mille) => format!("<= {}", f64::from(mille) / 1_000.0),
            Self::Below(mille) => format!("at most {}", f64::from(mille) / 1_000.0),
        }
    }
}

impl Chapter {
    /// Without figures yet.
    pub fn new(id: &str, title: &str) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            series: Vec::new(),
        }
    }

    /// The ratios of a series to its baseline, round by round; none without a baseline of its case.
    pub fn ratio(&self, of: &Series) -> Option<Spread> {
        let name = of.baseline.as_ref()?;
        let base = self.series.iter().find(|series| {
            series.case == of.case && &series.subject == name && series.unit == of.unit
        })?;
        let rounds = of.samples.iter().zip(&base.samples);
        let ratios: Vec<f64> = rounds.map(|(one, base)| one / base).collect();
        (!ratios.is_empty()).then(|| Spread::of(&ratios))
    }

    /// Writes it where the arguments of a bench say `--chapter FILE`, for a report.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn leave(&self, arguments: &[String]) -> std::io::Result<()> {
        let file = arguments.iter().skip_while(|it| *it != "--chapter").nth(1);
        let Some(file) = file else { return Ok(()) };
        std::fs::write(file, serde_json::to_vec(self)?)
    }

    /// As a part of a Markdown document.
    pub fn markdown(&self) -> String {
        let mut table = Table::new(&[
            "case",
            "subject",
            "median",
            "least",
            "most",
            "unit",
            "ratio",
            "quartiles",
            "goal",
            "",
        ]);
        let mut last = "";
        for series in &self.series {
            let spread = Spread::of(&series.samples);
            let ratio = self.ratio(series);
            let against = series.baseline.as_deref().unwrap_or_default();
            let met = series
                .goal
                .and_then(|goal| goal.met(&spread, ratio.as_ref()));
            let verdict = met.map(|met| if met { "met" } else { "MISSED" });
            table.row(vec![
                if series.case == last {
                    ""
                } else {
                    &series.case
                }
                .to_owned(),
                series.subject.clone(),
                number(spread.median),
                number(spread.least),
                number(spread.most),
                series.unit.clone(),
                ratio.map_or_else(String::new, |ratio| {
                    format!("{:.2} x {against}", ratio.median)
                }),
                ratio.map_or_else(String::new, |ratio| {
                    format!("{:.2}-{:.2}", ratio.low, ratio.high)
                }),
                series.goal.map(Goal::text).unwrap_or_default(),
                verdict.unwrap_or_default().to_owned(),
            ]);
            last = &series.case;
        }
        let mut text = String::new();
        if writeln!(text, "## {} {}\n\n{table}", self.id, self.title).is_err() {
            // a string takes everything
        }
        text
    }

    /// As JSON, with every sample.
    pub fn json(&self) -> Value {
        let series = self.series.iter().map(|series| {
            let (spread, ratio) = (Spread::of(&series.samples), self.ratio(series));
            json!({
                "case": series.case, "subject": series.subject, "unit": series.unit,
                "samples": series.samples, "median": spread.median,
                "baseline": series.baseline,
                "ratio": ratio.map(|ratio| json!({"low": ratio.low, "median": ratio.median, "high": ratio.high})),
                "goal": series.goal.map(Goal::text),
                "met": series.goal.and_then(|goal| goal.met(&spread, ratio.as_ref())),
            })
        });
        json!({"id": self.id, "title": self.title, "series": series.collect::<Vec<_>>()})
    }
}

/// With as many digits as say something.
fn number(value: f64) -> String {
    if value >= 1_000.0 {
        let whole = format!("{value:.0}");
        let digits: Vec<char> = whole.chars().collect();
        let groups = digits.rchunks(3).rev();
        let groups: Vec<String> = groups.map(|group| group.iter().collect()).collect();
        groups.join(" ")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(subject: &str, samples: &[f64], baseline: Option<&str>) -> Series {
        Series {
            case: "case".into(),
            subject: subject.into(),
            unit: "records/s".into(),
            samples: samples.to_vec(),
            baseline: baseline.map(str::to_owned),
            goal: baseline.map(|_| Goal::AtLeast(950)),
        }
    }

    #[test]
    fn ratios_are_taken_within_rounds_and_judged_by_their_lower_quartile() {
        let mut chapter = Chapter::new("P0", "test");
        chapter
            .series
            .push(series("native", &[100.0, 50.0, 200.0], None));
        chapter
            .series
            .push(series("worker", &[96.0, 48.0, 192.0], Some("native")));
        let ratio = chapter.ratio(&chapter.series[1]).unwrap();
        assert!((ratio.median - 0.96).abs() < 1e-9 && (ratio.low - 0.96).abs() < 1e-9);
        assert!(chapter.markdown().contains("met") && !chapter.markdown().contains("MISSED"));
        chapter.series[1].samples[2] = 100.0;
        chapter.series[1].samples[0] = 10.0;
        assert!(chapter.markdown().contains("MISSED"));
        assert_eq!(chapter.json()["series"][1]["met"], Value::Bool(false));
        assert!(chapter.ratio(&chapter.series[0]).is_none());
    }

    #[test]
    fn numbers_keep_what_says_something() {
        assert_eq!(number(1_234_567.8), "1 234 568");
        assert_eq!(number(12.34), "12.3");
        assert_eq!(number(0.123_4), "0.123");
    }

    #[test]
    fn a_spread_lies_between_its_samples() {
        let spread = Spread::of(&[4.0, 1.0, 3.0, 2.0, 5.0]);
        assert_eq!(
            [
                spread.least,
                spread.low,
                spread.median,
                spread.high,
                spread.most
            ],
            [1.0, 2.0, 3.0, 4.0, 5.0]
        );
    }
}
