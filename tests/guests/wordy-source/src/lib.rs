//! Answers with more than anybody asked for: `what` is `problems` of its settings, a `problem` of
//! three million letters, `needs`, a long `need`, more `tasks` than it may have, or `settings` without
//! end for one of them.

use connect_sdk::{
    Batch, Connector, Description, Need, Next, OptionSpec, Plan, Problem, Result, Settings, Source,
    SourceContext,
};

struct Wordy;

fn told(settings: &Settings, what: &str) -> bool {
    settings.get("what") == Some(what)
}

impl Connector for Wordy {
    fn describe() -> Description {
        Description::new(
            "wordy-source",
            env!("CARGO_PKG_VERSION"),
            "Answers too much.",
        )
        .option(OptionSpec::text("what").default(""))
    }

    fn needs(settings: &Settings) -> Vec<Need> {
        if told(settings, "needs") {
            return vec![Need::read_directory("."); 10_000];
        }
        if told(settings, "need") {
            return vec![Need::read_directory("d".repeat(3_000_000))];
        }
        Vec::new()
    }

    fn validate(settings: &Settings) -> Vec<Problem> {
        if told(settings, "problems") {
            return vec![Problem::new("what", "p".repeat(50)); 50_000];
        }
        if told(settings, "problem") {
            return vec![Problem::new("k".repeat(3_000_000), "p".repeat(3_000_000))];
        }
        Vec::new()
    }

    fn task_settings(settings: &Settings, _: u32) -> Result<Plan> {
        let mut plan = Plan::one(settings);
        if told(settings, "tasks") {
            plan.tasks = vec![plan.tasks[0].clone(); 10_000];
        }
        if told(settings, "settings") {
            plan.tasks[0] = (0..10_000)
                .map(|number| (number.to_string(), "v".repeat(100)))
                .collect();
        }
        Ok(plan)
    }
}

impl Source for Wordy {
    fn open(_: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self)
    }

    fn poll(&mut self, _: &mut Batch) -> Result<Next> {
        Ok(Next::Now)
    }
}

connect_sdk::register!(source: Wordy);
