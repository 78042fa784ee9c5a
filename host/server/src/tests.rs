//! The routes over a real socket, with a real worker whose broker is away: everything but what
//! needs records to move.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use connect_broker::{RocketMq, RocketMqSettings};
use connect_plugins::Registry;
use connect_runtime::{Dependencies, Worker, WorkerSettings};
use connect_sandbox::{Lanes, Sandbox, SandboxSettings};
use connect_store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{ServerError, ServerSettings, bind, routes, serve};

/// A server with its worker, stopped at the end.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
    /// What it serves from, gone at the end.
    _store: tempfile::TempDir,
}

/// What came back.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

fn settings() -> ServerSettings {
    ServerSettings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        body_bytes: 10_000,
        ..ServerSettings::default()
    }
}

async fn start() -> Running {
    let directory = tempfile::tempdir().unwrap();
    // nobody listens on port 1
    let broker = RocketMq::connect(RocketMqSettings::new("127.0.0.1:1", "server-tests")).unwrap();
    let sandbox = Sandbox::new(SandboxSettings::default()).unwrap();
    let worker = Worker::start(
        WorkerSettings::default(),
        Dependencies {
            broker: Arc::new(broker),
            store: Store::open(directory.path()).unwrap(),
            plugins: Arc::new(Registry::new(sandbox, Vec::new())),
            guests: Lanes::start(Handle::current(), 1).unwrap(),
        },
    )
    .unwrap();
    let server = bind(settings()).await.unwrap();
    let address = server.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(server.run(worker, async {
        stopped.await.unwrap_or_default();
    }));
    Running {
        address,
        stop,
        ended,
        _store: directory,
    }
}

impl Running {
    async fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        ask(self.address, method, path, headers, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap();
    }
}

async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &str,
) -> Answer {
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    if !headers.iter().any(|header| header.starts_with("Host:")) {
        head.push_str(&format!("Host: {address}\r\n"));
    }
    for header in headers {
        head.push_str(&format!("{header}\r\n"));
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(format!("{head}\r\n{body}").as_bytes())
        .await
        .unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    let text = String::from_utf8(text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

#[tokio::test]
async fn metrics_are_in_the_form_that_they_claim() {
    let running = start().await;
    let answer = running.get("/metrics").await;
    assert_eq!(answer.status, 200);
    let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.header("content-type"), Some(form));
    assert!(answer.body.contains("connect_worker_uptime_seconds "));
    assert!(answer.body.ends_with("# EOF\n"));
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_worker_answers_as_the_java_project() {
    let server = start().await;
    for (path, body) in [
        (
            "/getClusterInfo",
            r#"{"status":200,"body":["standalone-worker"]}"#,
        ),
        ("/connectors/list", r#"{"status":200,"body":{}}"#),
        ("/connectors/list/", r#"{"status":200,"body":{}}"#),
        ("/allocated/connectors", r#"{"status":200,"body":{}}"#),
        ("/plugin/list/connectors", r#"{"status":200,"body":[]}"#),
        (
            "/connectors/stop/all",
            r#"{"status":200,"body":"No connector needs to be deleted, please add connector first"}"#,
        ),
        (
            "/connectors/pause/all",
            r#"{"status":200,"body":"No connector needs to be paused, please add connector first"}"#,
        ),
        (
            "/connectors/resume/all",
            r#"{"status":200,"body":"No connector needs to be resumed, please add connector first"}"#,
        ),
        ("/health/live", r#"{"status":200,"body":"alive"}"#),
    ] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{path}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{path}"
        );
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_404_in_an_envelope() {
    let server = start().await;
    for path in [
        "/",
        "/nothing/here",
        "/Connectors/List",
        "/plugin/config",
        "/connectors/nope/config",
        "/connectors/nope/status",
        "/connectors/nope/tasks",
        "/connectors/nope/tasks/0/status",
        "/connectors/nope/stop",
        "/connectors/nope/pause",
        "/connectors/a%20b%2Fc/resume",
        "/connectors/nope/restart",
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        assert!(
            answer.body.starts_with(r#"{"errorCode":404,"message":""#),
            "{path}: {}",
            answer.body
        );
    }
    assert!(
        server
            .get("/connectors/a%20b%2Fc/status")
            .await
            .body
            .contains("a b/c")
    );
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_created_is_400_and_says_why() {
    let server = start().await;
    let class = r#"{"connector.class":"no.such.Connector"}"#;
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(10_000));
    for (method, path, body, status, part) in [
        ("POST", "/connectors/c", "", 400, "missing"),
        ("GET", "/connectors/c", "", 400, "missing"),
        ("GET", "/connectors/c?config=%20", "", 400, "missing"),
        ("GET", "/connectors/c?config=%7B", "", 400, "malformed"),
        ("GET", "/connectors/c?config=%ff", "", 400, ""),
        ("POST", "/connectors/c", "hello", 400, "malformed"),
        ("POST", "/connectors/c", "[]", 400, "malformed"),
        (
            "POST",
            "/connectors/c",
            r#"{"connector.class":null}"#,
            400,
            "`connector.class` is null",
        ),
        ("POST", "/connectors/c", "{}", 400, "connector.class"),
        ("POST", "/connectors/c", class, 400, "no.such.Connector"),
        (
            "POST",
            "/connectors/c",
            &large,
            413,
            "larger than a configuration",
        ),
        ("POST", "/connectors/list", class, 400, "`list`"),
        ("POST", "/connectors/stop", class, 400, "`stop`"),
        ("POST", "/connectors/a%20b", class, 400, "`a b`"),
        ("POST", "/connectors/a%2Fb", class, 400, "`a/b`"),
        ("POST", "/connectors/%ff", class, 400, ""),
    ] {
        let answer = server
            .ask(method, path, &["Content-Type: text/plain"], body)
            .await;
        let about = format!("{method} {path} {body:.60}: {}", answer.body);
        assert_eq!(answer.status, status, "{about}");
        assert!(
            answer
                .body
                .starts_with(&format!(r#"{{"errorCode":{status},"message":""#)),
            "{about}"
        );
        assert!(answer.body.contains(part), "{about}");
    }
    assert_eq!(
        server.get("/connectors/list").await.body,
        r#"{"status":200,"body":{}}"#
    );
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_method_is_405_with_what_is_allowed() {
    let server = start().await;
    for (method, path, allow) in [
        ("DELETE", "/connectors/types", "GET,HEAD,POST"),
        ("PUT", "/connectors/types", "GET,HEAD,POST"),
        ("POST", "/connectors/types/stop", "GET,HEAD"),
        ("OPTIONS", "/connectors/list", "GET,HEAD,POST"),
        ("HEAD", "/connectors/types/stop", "GET,POST"),
        ("HEAD", "/connectors/stop/all", "GET,POST"),
    ] {
        let answer = server.ask(method, path, &[], "").await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        if method != "HEAD" {
            assert!(
                answer.body.starts_with(r#"{"errorCode":405"#),
                "{method} {path}: {}",
                answer.body
            );
        }
    }
    assert_eq!(
        server.ask("HEAD", "/connectors/list", &[], "").await.status,
        200
    );
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_change_nothing_and_rebound_names_read_nothing() {
    let server = start().await;
    for path in [
        "/connectors/stop/all",
        "/connectors/a/stop",
        "/connectors/a?config=%7B%7D",
        "/connectors/a/pause",
    ] {
        for header in [
            "Sec-Fetch-Site: cross-site",
            "Origin: http://evil.example",
            "Sec-Purpose: prefetch",
        ] {
            let answer = server.ask("GET", path, &[header], "").await;
            assert_eq!(answer.status, 403, "{path} {header}: {}", answer.body);
        }
    }
    let answer = server
        .ask("POST", "/connectors/a", &["Origin: null"], "{}")
        .await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    // reading is safe: a browser does not show the answer to another origin
    assert_eq!(
        server
            .ask(
                "GET",
                "/connectors/list",
                &["Sec-Fetch-Site: cross-site"],
                ""
            )
            .await
            .status,
        200
    );
    // unless its name was rebound to this machine
    let answer = server
        .ask("GET", "/connectors/list", &["Host: evil.example:8082"], "")
        .await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert_eq!(
        server
            .ask("GET", "/connectors/list", &["Host: localhost:8082"], "")
            .await
            .status,
        200
    );
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_the_worker_is_alive_and_not_ready() {
    let server = start().await;
    assert_eq!(server.get("/health/live").await.status, 200);
    let answer = server.get("/health/ready").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("broker"), "{}", answer.body);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_an_error_with_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = taken.local_addr().unwrap();
    let error = bind(ServerSettings {
        listen,
        ..ServerSettings::default()
    })
    .await
    .unwrap_err();
    assert!(matches!(error, ServerError::Bind { .. }));
    assert!(error.to_string().contains(&listen.to_string()), "{error}");
}

/// Serves one route that never answers.
async fn stuck(answer_within: Duration) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let router = Router::new().route(
        "/stuck",
        get(|| async { std::future::pending::<&str>().await }),
    );
    let router = routes::common(
        router,
        &ServerSettings {
            answer_within,
            ..settings()
        },
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(serve::serve(listener, router, async {
        stopped.await.unwrap_or_default()
    }));
    (address, stop, ended)
}

#[tokio::test]
async fn a_request_is_answered_in_time() {
    let (address, stop, ended) = stuck(Duration::from_millis(50)).await;
    let answer = ask(address, "GET", "/stuck", &[], "").await;
    assert_eq!(answer.status, 503);
    assert!(
        answer.body.contains("no answer within 50 ms"),
        "{}",
        answer.body
    );
    stop.send(()).unwrap();
    ended.await.unwrap();
}

#[tokio::test]
async fn the_server_ends_in_time_whatever_its_clients_do() {
    let (address, stop, ended) = stuck(Duration::from_secs(60)).await;
    let idle = TcpStream::connect(address).await.unwrap();
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"GET /stuck HT").await.unwrap();
    let mut waiting = TcpStream::connect(address).await.unwrap();
    waiting
        .write_all(format!("GET /stuck HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    // served means accepted: the three before it are in as well
    assert_eq!(ask(address, "GET", "/nothing", &[], "").await.status, 404);
    let before = std::time::Instant::now();
    stop.send(()).unwrap();
    ended.await.unwrap();
    assert!(
        before.elapsed() < Duration::from_secs(3),
        "{:?}",
        before.elapsed()
    );
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
    drop((idle, half, waiting));
}
