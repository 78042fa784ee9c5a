//! One task of the file sink: takes batches, keeps lines until the next flush or until there are
//! enough of them to write.

use connect_sdk::{
    Connector, Description, Failure, Flushed, Need, Plan, Problem, Queue, Records, Rejected,
    Result, Settings, Sink, SinkContext, warn,
};

use crate::config::{self, Config};
use crate::outputs::Outputs;
use crate::template::Template;
use crate::text::Texts;

/// Lines of about so many bytes are kept in memory.
const WAITING: usize = 1024 * 1024;

/// Appends records as lines to files.
#[derive(Debug)]
pub struct FileSink {
    template: Template,
    outputs: Outputs,
    texts: Texts,
    /// The path of the record in hand.
    path: String,
    /// Records without value that were passed over since the last flush.
    nulls: u64,
}

impl Connector for FileSink {
    fn describe() -> Description {
        let description = Description::new(
            "file-sink",
            env!("CARGO_PKG_VERSION"),
            "Appends each record as a line to a file, or to one of several by topic, queue, key or header. Records \
             without value are passed over with a warning.",
        );
        config::describe(description.alias("org.apache.rocketmq.connect.file.FileSinkConnector"))
    }

    fn needs(settings: &Settings) -> Vec<Need> {
        let template = settings
            .get("filename")
            .and_then(|name| Template::parse(name).ok());
        template
            .map(|template| Need::write_directory(template.directory()))
            .into_iter()
            .collect()
    }

    fn validate(settings: &Settings) -> Vec<Problem> {
        match Config::read(settings) {
            Err(Failure::Invalid(problems)) => problems,
            Err(other) => vec![Problem::new("filename", other.to_string())],
            Ok(_) => Vec::new(),
        }
    }

    fn task_settings(settings: &Settings, max_tasks: u32) -> Result<Plan> {
        let apart = Config::read(settings)?.template.keeps_queues_apart();
        let tasks = if apart { max_tasks.max(1) } else { 1 };
        Ok((0..tasks).fold(Plan::new(), |plan, _| plan.task(settings.clone())))
    }
}

impl Sink for FileSink {
    fn open(settings: &Settings, _: SinkContext) -> Result<Self> {
        let Config {
            template,
            fsync,
            open_files,
        } = Config::read(settings)?;
        let mut outputs = Outputs::new(fsync, open_files);
        if template.is_fixed() {
            outputs.open(settings.text("filename")?)?;
        }
        Ok(Self {
            template,
            outputs,
            texts: Texts::default(),
            path: String::new(),
            nulls: 0,
        })
    }

    fn put(&mut self, records: &Records<'_>) -> Result<Vec<Rejected>> {
        // Before anything is taken of this batch, because a failure brings the same batch again.
        if self.outputs.waiting() >= WAITING {
            self.outputs.write()?;
        }
        let mut rejected = Vec::new();
        for record in records.records() {
            let Some(value) = record.value() else {
                self.nulls += 1;
                continue;
            };
            let line = self.texts.of(record.value_schema(), value);
            let line = line.and_then(|line| {
                self.template
                    .resolve(&record, &mut self.path)
                    .map(|()| line)
            });
            match line {
                Ok(line) => self.outputs.add(&self.path, record.partition(), &line),
                Err(reason) => rejected.push(Rejected::new(&record, reason)),
            }
        }
        Ok(rejected)
    }

    fn flush(&mut self) -> Result<Flushed> {
        self.outputs.flush()?;
        match std::mem::take(&mut self.nulls) {
            0 => {}
            nulls => warn!("passed over {nulls} records without value, which no line can show"),
        }
        Ok(Flushed::all())
    }

    fn revoked(&mut self, queues: &[Queue], lost: bool) -> Result<()> {
        if lost {
            self.outputs.take_back(queues);
        }
        Ok(())
    }
}
