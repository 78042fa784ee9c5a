//! Asks for the environment variables in `variables` and emits all it sees as `NAME=value`.

use std::time::Duration;

use connect_sdk::{
    Batch, Connector, Description, Need, Next, OptionSpec, Result, Settings, Source, SourceContext,
};

struct EnvSource;

impl Connector for EnvSource {
    fn describe() -> Description {
        Description::new("env-source", env!("CARGO_PKG_VERSION"), "Shows its world.")
            .option(OptionSpec::list("variables"))
    }

    fn needs(settings: &Settings) -> Vec<Need> {
        let names = settings.list("variables").unwrap_or_default();
        names.into_iter().map(Need::environment).collect()
    }
}

impl Source for EnvSource {
    fn open(_: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self)
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        for (name, value) in std::env::vars() {
            batch
                .add()
                .partition("p")
                .value(format!("{name}={value}").as_bytes())
                .finish()?;
        }
        Ok(Next::After(Duration::from_secs(1)))
    }
}

connect_sdk::register!(source: EnvSource);
