//! What a connector says of itself: name, version, options, what it will touch, how its work is
//! cut into tasks. Plain data with builders; knows nothing of the host.

use std::time::Duration;

use crate::settings::Settings;

/// What a plugin says of itself.
///
/// ```
/// use connect_sdk::{Description, OptionSpec};
/// let description = Description::new("tick-source", "1.2.0", "Emits one record per interval.")
///     .alias("org.example.TickSourceConnector")
///     .option(OptionSpec::duration("interval").default(1000).doc("time between two records"))
///     .option(OptionSpec::text("text").required().doc("value of every record"));
/// assert_eq!(description.options.len(), 2);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// What `connector.class` calls it.
    pub name: String,
    /// Version of the plugin, as in its `Cargo.toml`.
    pub version: String,
    /// One or two sentences for people.
    pub doc: String,
    /// Other names that `connector.class` may use, such as a Java class name.
    pub aliases: Vec<String>,
    /// The settings it knows.
    pub options: Vec<OptionSpec>,
    /// Versions with the same number read each other's positions. Default 1.
    pub position_format: u32,
    /// Room for what is not yet known here.
    pub attributes: Vec<(String, String)>,
}

impl Description {
    /// A connector without options. `env!("CARGO_PKG_VERSION")` is the usual version.
    pub fn new(
        name: impl Into<String>,
        version: impl Into<String>,
        doc: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            doc: doc.into(),
            position_format: 1,
            ..Self::default()
        }
    }

    /// Adds another name for `connector.class`.
    #[must_use]
    pub fn alias(mut self, name: impl Into<String>) -> Self {
        self.aliases.push(name.into());
        self
    }

    /// Adds an option.
    #[must_use]
    pub fn option(mut self, option: OptionSpec) -> Self {
        self.options.push(option);
        self
    }

    /// Changes the number that says whose positions can be read.
    #[must_use]
    pub fn position_format(mut self, number: u32) -> Self {
        self.position_format = number;
        self
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((key.into(), value.into()));
        self
    }
}

/// How the host checks a setting and hands it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number with a fraction.
    Decimal,
    /// Anything, handed over as written.
    Text,
    /// Several texts, handed over as a JSON array.
    TextList,
    /// A span of time, handed over as whole milliseconds.
    Duration,
    /// An amount of memory or disk, handed over as bytes.
    Size,
    /// Text that is sealed in the store and never shown again.
    Secret,
}

/// One option of a connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionSpec {
    /// The key. One that ends in `*` stands for every key with that prefix.
    pub key: String,
    /// How it is checked and handed over.
    pub kind: Kind,
    /// Whether a connector without it is refused.
    pub required: bool,
    /// What [`Settings`] answers when it is not set, in the form in which a value is handed over.
    pub default: Option<String>,
    /// One sentence for people.
    pub doc: String,
    /// The only values it may have; empty for any.
    pub allowed: Vec<String>,
    /// Room for what is not yet known here, such as a display group.
    pub attributes: Vec<(String, String)>,
}

impl OptionSpec {
    /// An option of some kind; the functions named after kinds are shorter.
    pub fn new(key: impl Into<String>, kind: Kind) -> Self {
        Self {
            key: key.into(),
            kind,
            required: false,
            default: None,
            doc: String::new(),
            allowed: Vec::new(),
            attributes: Vec::new(),
        }
    }

    /// A text.
    pub fn text(key: impl Into<String>) -> Self {
        Self::new(key, Kind::Text)
    }

    /// A whole number.
    pub fn integer(key: impl Into<String>) -> Self {
        Self::new(key, Kind::Integer)
    }

    /// A number with a fraction.
    pub fn decimal(key: impl Into<String>) -> Self {
        Self::new(key, Kind::Decimal)
    }

    /// `true` or `false`.
    pub fn boolean(key: impl Into<String>) -> Self {
        Self::new(key, Kind::Boolean)
    }

    /// A span of time; a default is given in milliseconds.
    pub fn duration(key: impl Into<String>) -> Self {
        Self::new(key, Kind::Duration)
    }

    /// A number of bytes.
    pub fn size(key: impl Into<String>) -> Self {
        Self::new(key, Kind::Size)
    }

    /// Several texts.
    pub fn list(key: impl Into<String>) -> Self {
        Self::new(key, Kind::TextList)
    }

    /// A text that is never shown again.
    pub fn secret(key: impl Into<String>) -> Self {
        Self::new(key, Kind::Secret)
    }

    /// A connector without this setting is refused.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The value when it is not set.
    #[must_use]
    pub fn default(mut self, value: impl ToString) -> Self {
        self.default = Some(value.to_string());
        self
    }

    /// What it is for.
    #[must_use]
    pub fn doc(mut self, text: impl Into<String>) -> Self {
        self.doc = text.into();
        self
    }

    /// The only values it may have.
    #[must_use]
    pub fn allowed<I>(mut self, values: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.allowed = values.into_iter().map(Into::into).collect();
        self
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((key.into(), value.into()));
        self
    }
}

/// Something outside that the settings make the connector touch. The operator grants it or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The sort of thing; a kind the host does not know is never granted.
    pub kind: String,
    /// Which one.
    pub target: String,
}

impl Need {
    /// A need of a kind that has no function here.
    pub fn new(kind: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            target: target.into(),
        }
    }

    /// Files below this directory are read. It is opened under exactly this path.
    pub fn read_directory(path: impl Into<String>) -> Self {
        Self::new("read-directory", path)
    }

    /// Files below this directory are read, written, created and removed.
    pub fn write_directory(path: impl Into<String>) -> Self {
        Self::new("write-directory", path)
    }

    /// HTTP requests to this scheme and authority, such as `https://api.example.org`.
    pub fn http(origin: impl Into<String>) -> Self {
        Self::new("http", origin)
    }

    /// TCP connections to this `host:port`.
    pub fn tcp(endpoint: impl Into<String>) -> Self {
        Self::new("tcp", endpoint)
    }

    /// Look-up of this host name.
    pub fn resolve(host: impl Into<String>) -> Self {
        Self::new("resolve", host)
    }

    /// This environment variable of the worker.
    pub fn environment(variable: impl Into<String>) -> Self {
        Self::new("environment", variable)
    }
}

/// How the work is cut into tasks.
///
/// ```
/// use connect_sdk::{Plan, Settings};
/// let settings = Settings::from([("table", "all")]);
/// let plan = Plan::new().task(settings.with("table", "orders")).task(settings.with("table", "customers"));
/// assert_eq!(plan.tasks.len(), 2);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The settings of each task, at most as many as were allowed.
    pub tasks: Vec<Settings>,
    /// Ask again after this time, in whole milliseconds; `None` for never.
    pub recheck: Option<Duration>,
}

impl Plan {
    /// No task yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One task with the settings of the connector; what a connector does that says nothing.
    pub fn one(settings: &Settings) -> Self {
        Self::new().task(settings.clone())
    }

    /// Adds a task.
    #[must_use]
    pub fn task(mut self, settings: Settings) -> Self {
        self.tasks.push(settings);
        self
    }

    /// Asks to be asked again.
    #[must_use]
    pub fn recheck(mut self, after: Duration) -> Self {
        self.recheck = Some(after);
        self
    }
}
