//! Reading `--name value` arguments: small enough to own, so that no parser has to be compiled
//! before the first command runs.

use std::str::FromStr;

use anyhow::{Context, Result, bail};

/// The arguments of one command; what is left at the end is an error.
pub(crate) struct Arguments {
    rest: Vec<String>,
}

impl Arguments {
    pub(crate) fn new(arguments: &[String]) -> Self {
        Self {
            rest: arguments.to_vec(),
        }
    }

    /// Takes the switch `name` if it is there.
    pub(crate) fn switch(&mut self, name: &str) -> bool {
        let before = self.rest.len();
        self.rest.retain(|argument| argument != name);
        self.rest.len() != before
    }

    /// Takes `name VALUE` or `name=VALUE` if it is there.
    pub(crate) fn value<T>(&mut self, name: &str) -> Result<Option<T>>
    where
        T: FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let Some(at) = self.rest.iter().position(|argument| {
            argument == name
                || argument
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('='))
        }) else {
            return Ok(None);
        };
        let argument = self.rest.remove(at);
        let text = match argument.split_once('=') {
            Some((_, text)) => text.to_owned(),
            None if at < self.rest.len() => self.rest.remove(at),
            None => bail!("{name} needs a value"),
        };
        let value = text
            .parse()
            .with_context(|| format!("{name} cannot be `{text}`"))?;
        Ok(Some(value))
    }

    /// What no one has taken: the operands. An argument that looks like an option is refused.
    pub(crate) fn operands(self) -> Result<Vec<String>> {
        match self.rest.iter().find(|argument| argument.starts_with('-')) {
            Some(unknown) => bail!("there is no option `{unknown}` here"),
            None => Ok(self.rest),
        }
    }

    /// Refuses whatever no one has taken.
    pub(crate) fn end(self) -> Result<()> {
        match self.operands()?.first() {
            Some(unknown) => bail!("`{unknown}` means nothing here"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;

    fn arguments(line: &str) -> Arguments {
        Arguments::new(
            &line
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn takes_switches_values_and_operands_in_any_order() {
        let mut given = arguments("one --lines 5 --once --directory=a=b two");
        assert!(given.switch("--once"));
        assert_eq!(given.value::<u64>("--lines").unwrap(), Some(5));
        assert_eq!(
            given.value::<String>("--directory").unwrap().as_deref(),
            Some("a=b")
        );
        assert_eq!(given.operands().unwrap(), ["one", "two"]);
    }

    #[test]
    fn a_prefix_of_an_option_is_not_that_option() {
        let mut given = arguments("--lines-of-code 3");
        assert_eq!(given.value::<u64>("--lines").unwrap(), None);
        assert!(given.operands().is_err());
    }

    #[test]
    fn names_the_option_whose_value_is_wrong() {
        let error = arguments("--lines many")
            .value::<u64>("--lines")
            .unwrap_err();
        assert!(error.to_string().contains("--lines cannot be `many`"));
        assert!(arguments("--lines").value::<u64>("--lines").is_err());
    }
}
