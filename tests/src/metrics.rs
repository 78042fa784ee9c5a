//! What `/metrics` says, read as Prometheus would: name, labels, value.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use crate::rest::Rest;

/// All figures of one moment.
#[derive(Clone, Debug)]
pub struct Metrics(Vec<Figure>);

#[derive(Clone, Debug)]
struct Figure {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Asks a worker.
    ///
    /// # Errors
    /// No answer, or one that Prometheus would not read.
    pub fn of(rest: &Rest) -> Result<Self> {
        let answer = rest.get("/metrics")?;
        ensure!(answer.status == 200, "answered {}", answer.status);
        ensure!(answer.text.ends_with("# EOF\n"), "it does not end");
        let lines = answer.text.lines().filter(|line| !line.starts_with('#'));
        let figures = lines.map(|line| figure(line).with_context(|| format!("unreadable: {line}")));
        Ok(Self(figures.collect::<Result<_>>()?))
    }

    /// The sum of the figures of this name that have all these labels; none when there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |figure: &Figure| {
            let mut labels = labels.iter();
            labels.all(|(label, value)| figure.labels.get(*label).is_some_and(|it| it == value))
        };
        let found = self.0.iter().filter(|it| it.name == name && has(it));
        let values: Vec<f64> = found.map(|figure| figure.value).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// The same as a whole number that must be there.
    ///
    /// # Errors
    /// There is no such figure.
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> Result<u64> {
        let sum = self.sum(name, labels);
        // Counts of tests are far below 2^53.
        sum.map(|sum| sum as u64)
            .with_context(|| format!("there is no {name} with {labels:?}"))
    }
}

/// `name{label="value",…} number`; no label of this worker holds a quote or a comma.
fn figure(line: &str) -> Result<Figure> {
    let (series, value) = line.rsplit_once(' ').context("no value")?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').context("no end")?),
        None => (series, ""),
    };
    let pairs = labels.split(',').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let (label, value) = pair.split_once('=').context("no label")?;
        Ok((label.to_owned(), value.trim_matches('"').to_owned()))
    });
    Ok(Figure {
        name: name.to_owned(),
        labels: pairs.collect::<Result<_>>()?,
        value: value.parse()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_with_their_labels() -> Result<()> {
        let lines = [
            "a_total{x=\"1\",y=\"z\"} 3",
            "a_total{x=\"2\",y=\"z\"} 4.5",
            "b 1",
        ];
        let all = Metrics(lines.into_iter().map(figure).collect::<Result<_>>()?);
        assert_eq!(all.sum("a_total", &[("y", "z")]), Some(7.5));
        assert_eq!(all.sum("a_total", &[("x", "1")]), Some(3.0));
        assert_eq!(all.sum("a_total", &[("x", "3")]), None);
        assert_eq!(all.count("b", &[])?, 1);
        Ok(())
    }
}
