//! What stands in for the world outside: servers on this machine, a resolver that says what the test
//! wants, and a reader of the log.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connect_sandbox::{
    Access, Counted, EgressLimits, Grants, Limit, Limits, Meter, NetworkSettings, Plugin, Resolver,
    Sandbox, SandboxSettings, SourceInstance, TaskScope,
};
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::fixtures::{Stored, bytes, poll, scope, settings, short, values};

/// Answers from a list, the last of them for ever.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    names: Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Answers {
    pub(crate) fn of(names: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let answers = Self::default();
        for (name, all) in names {
            let all = all
                .iter()
                .map(|one| one.iter().map(|address| address.parse().unwrap()).collect());
            let mut names = answers.names.lock().unwrap();
            names.insert((*name).to_owned(), all.collect());
        }
        Arc::new(answers)
    }
}

impl Resolver for Answers {
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut names = self.names.lock().unwrap();
        let Some(answers) = names.get_mut(name) else {
            // As a name server that does not answer.
            return Box::pin(std::future::pending());
        };
        let next = match answers.len() {
            0 => Vec::new(),
            1 => answers[0].clone(),
            _ => answers.pop_front().unwrap(),
        };
        Box::pin(async move { Ok(next) })
    }
}

/// A sandbox with this resolver, which trusts the authority of the tests.
pub(crate) fn sandbox<R: Resolver + 'static>(resolver: &Arc<R>) -> Sandbox {
    let resolver = Arc::clone(resolver) as Arc<dyn Resolver>;
    let authorities = Some(PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/sandbox/tls/ca.pem"
    )));
    Sandbox::new(SandboxSettings {
        code_cache: Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sandbox-code")),
        network: NetworkSettings {
            resolver,
            authorities,
        },
        ..SandboxSettings::default()
    })
    .unwrap()
}

/// The grants of a configuration.
pub(crate) fn grants(toml: &str) -> Grants {
    #[derive(serde::Deserialize)]
    struct File {
        grant: Grants,
    }
    toml::from_str::<File>(toml).unwrap().grant
}

/// A list as the worker hands it over.
pub(crate) fn list(items: &[&str]) -> String {
    serde_json::to_string(items).unwrap()
}

/// A connector's task, and what it says.
pub(crate) struct Task {
    pub(crate) source: SourceInstance,
    meter: Meter,
}

impl Task {
    /// One with the access that its needs and these grants give together.
    pub(crate) async fn start(
        sandbox: &Sandbox,
        name: &str,
        granted: &str,
        given: &[(&str, &str)],
        egress: EgressLimits,
    ) -> Self {
        let plugin = sandbox.load(name, bytes(name)).await.unwrap();
        let settings = settings(&plugin, given);
        let needs = plugin.needs(&settings).await.unwrap();
        let access = match granted {
            "" => Access::default(),
            granted => grants(granted).allow(name, &needs).unwrap(),
        };
        Self::with(&plugin, access, &settings, egress).await
    }

    async fn with(
        plugin: &Plugin,
        access: Access,
        settings: &[(String, String)],
        egress: EgressLimits,
    ) -> Self {
        let limits = Limits {
            egress,
            call_cpu: Duration::from_secs(5),
            ..short()
        };
        let scope = TaskScope {
            access,
            ..scope(limits)
        };
        let meter = scope.meter.clone();
        let context = Arc::new(Stored::default());
        let mut source = plugin.source(scope, context).await.unwrap();
        source.open(settings).await.unwrap();
        Self { source, meter }
    }

    pub(crate) async fn says(&mut self) -> Vec<String> {
        values(&poll(&mut self.source).await.unwrap())
    }

    pub(crate) fn counted(&self) -> Counted {
        self.source.egress().counted()
    }

    /// The limits that were reached, how often, and that none of it counts as a refusal.
    pub(crate) fn breaches(&self) -> Vec<(Limit, u64)> {
        let usage = self.meter.read();
        assert_eq!(usage.refused, 0, "{usage:?}");
        usage.breaches
    }
}

/// A server on this machine. Keeps the heads of the requests it got.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) heads: Arc<Mutex<Vec<String>>>,
}

/// What a server does once it has read a head.
#[derive(Clone)]
pub(crate) enum Then {
    /// Sends this and closes.
    Say(String),
    /// Sends this and says no more.
    Stall(String),
    /// Sends this, and then a byte every 20 ms.
    Drip(String),
    /// Sends this, and then bytes without end.
    Flood(String),
}

pub(crate) fn ok(body: &str) -> Then {
    let length = body.len();
    Then::Say(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
}

impl Server {
    pub(crate) async fn start(then: Then) -> Self {
        Self::at(([127, 0, 0, 1], 0).into(), then).await
    }

    pub(crate) async fn at(address: SocketAddr, then: Then) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream, then.clone(), Arc::clone(&kept)));
            }
        });
        Self { address, heads }
    }

    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// Reads to the end of a head, or of a line that is none, and answers.
pub(crate) async fn talk<S>(mut stream: S, then: Then, heads: Arc<Mutex<Vec<String>>>)
where
    S: tokio::io::AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && head != b"hello\n" {
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let has_body = head.contains("transfer-encoding: chunked");
    heads.lock().unwrap().push(head);
    let mut body = Vec::new();
    while has_body && !body.ends_with(b"\r\n0\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) => body.push(byte[0]),
            _ => return,
        }
    }
    let (Then::Say(first) | Then::Stall(first) | Then::Drip(first) | Then::Flood(first)) = &then;
    if stream.write_all(first.as_bytes()).await.is_err() {
        return;
    }
    match then {
        Then::Say(_) => {
            drop(stream.shutdown().await);
        }
        // Until the other side goes.
        Then::Stall(_) => while matches!(stream.read(&mut byte).await, Ok(1)) {},
        Then::Drip(_) => {
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            while stream.write_all(b"x").await.is_ok() && stream.flush().await.is_ok() {
                tick.tick().await;
            }
        }
        Then::Flood(_) => while stream.write_all(&[b'x'; 4096]).await.is_ok() {},
    }
}

/// Keeps what is logged for the target `plugin` while it is the thread's subscriber.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(pub(crate) Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "plugin"
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Line(String);
        impl tracing::field::Visit for Line {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!("{}={value:?} ", field.name()));
            }
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
