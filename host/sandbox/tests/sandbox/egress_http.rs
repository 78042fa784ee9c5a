//! Requests: granted ones arrive as they were meant, all others leave no trace on the network.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connect_sandbox::{EgressLimits, Limit, Resolver};
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::fixtures::listen;
use crate::outside::{Answers, Log, Server, Task, Then, list, ok, sandbox, talk};

fn limits() -> EgressLimits {
    EgressLimits::default()
}

/// Lines of configuration that grant these origins and addresses to everyone.
fn granting(origins: &[&str], addresses: &[&str]) -> String {
    let (origins, addresses) = (list(origins), list(addresses));
    format!("[[grant]]\nplugin = \"*\"\nhttp = {origins}\naddress = {addresses}\n")
}

/// What becomes of `requests` with exactly these origins asked for and granted.
async fn ask(answers: &Arc<Answers>, origins: &[&str], requests: &[&str]) -> (Vec<String>, Task) {
    let granted = granting(origins, &[]);
    let (origins, requests) = (list(origins), list(requests));
    let given = [
        ("origins", origins.as_str()),
        ("requests", requests.as_str()),
    ];
    let sandbox = sandbox(answers);
    let mut task = Task::start(&sandbox, "http-source", &granted, &given, limits()).await;
    (task.says().await, task)
}

/// A granted origin on this machine, and one request to it.
async fn one(
    server: &Server,
    line: &str,
    more: &[(&str, &str)],
    egress: EgressLimits,
) -> (Vec<String>, Task) {
    let origin = format!("http://{}", server.authority());
    let (origins, requests) = (list(&[&origin]), list(&[line]));
    let mut given = vec![
        ("origins", origins.as_str()),
        ("requests", requests.as_str()),
    ];
    given.extend(more);
    let sandbox = sandbox(&Answers::of(&[]));
    let granted = granting(&[&origin], &[]);
    let mut task = Task::start(&sandbox, "http-source", &granted, &given, egress).await;
    (task.says().await, task)
}

#[tokio::test]
async fn a_granted_request_arrives_as_it_was_meant() {
    let server = Server::start(ok("welcome")).await;
    let to = server.authority();
    let line = format!("GET http {to} /path?query x-name=value");
    let (said, task) = one(&server, &line, &[], limits()).await;
    assert_eq!(said, ["200 7"]);
    assert_eq!(
        server.seen(),
        [format!(
            "GET /path?query HTTP/1.1\r\nhost: {to}\r\nx-name: value\r\n\r\n"
        )]
    );
    let counted = task.counted();
    assert_eq!(
        (counted.requests, counted.connections, counted.refused()),
        (1, 1, 0)
    );
    let line = format!("POST http {to} /");
    let (said, _) = one(&server, &line, &[("send", "10000")], limits()).await;
    assert_eq!(said, ["200 7"]);
}

#[tokio::test]
async fn what_is_not_granted_leaves_no_trace() {
    let (server, other) = (Server::start(ok("")).await, Server::start(ok("")).await);
    let answers = Answers::of(&[]);
    let (mine, theirs) = (server.authority(), other.authority());
    let origin = format!("http://{mine}");
    let requests = [
        format!("GET http {theirs} /"),
        format!("GET https {mine} /"),
        format!("GET http localhost:{} /", server.address.port()),
        format!("GET http [::ffff:127.0.0.1]:{} /", server.address.port()),
        format!("GET http 2130706433:{} /", server.address.port()),
        "GET http 127.0.0.1 /".to_owned(),
        "GET http secret.evil.test /".to_owned(),
        "GET https - /".to_owned(),
    ];
    let requests: Vec<&str> = requests.iter().map(String::as_str).collect();
    let (said, task) = ask(&answers, &[&origin], &requests).await;
    for (line, request) in said.iter().zip(&requests) {
        let denied = line == "error: ErrorCode::HttpRequestDenied";
        assert!(denied || line.contains("Invalid"), "{request}: {line}");
    }
    assert_eq!(said.len(), requests.len());
    assert_eq!((server.seen().len(), other.seen().len()), (0, 0));
    assert_eq!(*answers.asked.lock().unwrap(), [""; 0]);
    assert!(task.counted().refused_requests >= 7, "{:?}", task.counted());
}

/// Whoever reads the log learns who wanted to go where, and no secret.
#[tokio::test]
async fn a_refusal_is_logged_with_its_target_and_without_what_was_to_be_sent() {
    let log = Log::default();
    let guard = listen(log.clone());
    let requests = [
        "GET https api.example.com /path?token=SECRET",
        "GET https user:SECRET@api.example.com /",
        "GET https api.example.com / host=SECRET.org",
        "GET https SECRET@ /",
    ];
    let (said, _) = ask(&Answers::of(&[]), &["http://a.test"], &requests).await;
    drop(guard);
    assert_eq!(said.len(), 4);
    let lines = log.0.lock().unwrap().join("\n");
    let expected = "refused: https://api.example.com:443: no `http` origin is granted";
    assert!(lines.contains(expected), "{lines}");
    assert!(
        lines.contains("plugin=http-source connector=test task=0"),
        "{lines}"
    );
    assert!(!lines.contains("SECRET"), "{lines}");
}

#[tokio::test]
async fn without_any_grant_requests_are_denied() {
    let sandbox = sandbox(&Answers::of(&[]));
    let requests = list(&["GET https api.example.com /"]);
    let given = [("requests", requests.as_str())];
    let mut task = Task::start(&sandbox, "http-source", "", &given, limits()).await;
    assert_eq!(task.says().await, ["error: ErrorCode::HttpRequestDenied"]);
}

/// None of them may arrive at a server that is granted, or at one that is not.
#[tokio::test]
async fn tricks_with_authority_path_and_host_are_refused() {
    let (server, evil) = (Server::start(ok("")).await, Server::start(ok("")).await);
    let (mine, theirs) = (server.authority(), evil.authority());
    let origin = format!("http://{mine}");
    let requests = [
        format!("GET http {mine} http://{theirs}/"),
        format!("GET http {mine} @{theirs}/"),
        format!("GET http {mine} :80@{theirs}/"),
        format!("GET http {mine}@{theirs} /"),
        format!("GET http user:{mine}@{theirs} /"),
        format!("GET http user@{mine} /"),
        format!("GET http {mine}/@{theirs} /"),
        format!("GET http {mine}\\@{theirs} /"),
        format!("GET http {mine}#@{theirs} /"),
        format!("GET http {mine} / host={theirs}"),
        format!("GET http {mine} / Host={theirs}"),
        format!("GET http {mine} / transfer-encoding=chunked"),
        format!("GET http {mine} / connection=upgrade upgrade=x"),
        format!("GET http {mine} / x=a\r\nhost:{theirs}"),
        format!("CONNECT http {mine} /"),
        format!("CONNECT http {mine} -"),
        format!("G\r\nT http {mine} /"),
        format!("GET http://{theirs}/ {mine} /"),
    ];
    let requests: Vec<&str> = requests.iter().map(String::as_str).collect();
    let (said, _) = ask(&Answers::of(&[]), &[&origin], &requests).await;
    for (line, request) in said.iter().zip(&requests) {
        assert!(line.starts_with("error: "), "{request}: {line}");
    }
    assert_eq!(said.len(), requests.len());
    assert_eq!((server.seen(), evil.seen()), (vec![], vec![]));
    // A path may begin like an authority: it stays a path, at the server that was granted.
    let line = format!("GET http {mine} //{theirs}/");
    let (said, _) = one(&server, &line, &[], limits()).await;
    assert_eq!(said, ["200 0"]);
    assert_eq!(evil.seen().len(), 0);
}

#[tokio::test]
async fn a_redirect_is_the_guest_s_to_follow_and_judged_like_any_request() {
    let evil = Server::start(ok("secret")).await;
    let location = format!("location: http://{}/\r\n", evil.authority());
    let moved = format!("HTTP/1.1 302 Found\r\n{location}content-length: 0\r\n\r\n");
    let server = Server::start(Then::Say(moved)).await;
    let line = format!("GET http {} /", server.authority());
    let (said, _) = one(&server, &line, &[], limits()).await;
    assert_eq!(said, ["302 0"]);
    let (said, _) = one(&server, &line, &[("follow", "true")], limits()).await;
    assert_eq!(said, ["error: redirected: ErrorCode::HttpRequestDenied"]);
    assert_eq!(evil.seen().len(), 0);
}

#[tokio::test]
async fn a_name_leads_only_to_addresses_that_were_vetted_in_the_same_request() {
    let server = Server::start(ok("welcome")).await;
    let port = server.address.port();
    let answers = Answers::of(&[
        (
            "turns.test",
            &[&["127.0.0.1"], &["127.0.0.2"], &["169.254.169.254"]],
        ),
        (
            "inside.test",
            &[&["10.0.0.1", "fd00:ec2::254", "::ffff:127.0.0.1"]],
        ),
        ("mixed.test", &[&["10.0.0.1", "127.0.0.1"]]),
        ("nowhere.test", &[&[]]),
    ]);
    let names = ["turns", "inside", "mixed", "nowhere"];
    let origins: Vec<String> = names
        .iter()
        .map(|name| format!("http://{name}.test:{port}"))
        .collect();
    let requests: Vec<String> = ["turns", "turns", "turns", "inside", "mixed", "nowhere"]
        .iter()
        .map(|name| format!("GET http {name}.test:{port} /"))
        .collect();
    let origins: Vec<&str> = origins.iter().map(String::as_str).collect();
    let requests: Vec<&str> = requests.iter().map(String::as_str).collect();
    let granted = granting(&origins, &["127.0.0.1"]);
    let (origins, requests) = (list(&origins), list(&requests));
    let given = [
        ("origins", origins.as_str()),
        ("requests", requests.as_str()),
    ];
    let sandbox = sandbox(&answers);
    let mut task = Task::start(&sandbox, "http-source", &granted, &given, limits()).await;
    let said = task.says().await;
    let prohibited = "error: ErrorCode::DestinationIpProhibited";
    assert_eq!(said[0], "200 7");
    assert_eq!(said[1..4], [prohibited; 3]);
    assert_eq!(said[4], "200 7");
    assert!(said[5].contains("DnsError"), "{said:?}");
    assert_eq!(server.seen().len(), 2);
    // Once for each request, and never again for the connection.
    assert_eq!(answers.asked.lock().unwrap().len(), 6);
}

#[tokio::test]
async fn connections_have_a_limit_and_are_given_back() {
    let server = Server::start(ok("welcome")).await;
    let line = format!("GET http {} /", server.authority());
    let three = EgressLimits {
        connections: 3,
        ..limits()
    };
    let (said, mut task) = one(&server, &line, &[("hold", "5")], three).await;
    let limit = "error: ErrorCode::ConnectionLimitReached";
    // They end in the order in which they were begun.
    let expected = ["200 7", "200 7", "200 7", limit, limit];
    assert_eq!(said, expected);
    assert_eq!(task.says().await, expected);
    assert_eq!(task.counted().refused_limits, 4);
    assert_eq!(task.breaches(), [(Limit::Connections, 4)]);
}

#[tokio::test]
async fn a_peer_that_dawdles_costs_no_more_than_its_request() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n".to_owned();
    let brief = Duration::from_millis(200);
    let cases = [
        (
            Then::Stall(String::new()),
            EgressLimits {
                first_byte: brief,
                ..limits()
            },
            "error: ErrorCode::ConnectionReadTimeout",
            Limit::FirstByte,
        ),
        (
            Then::Stall(head.clone()),
            EgressLimits {
                between_bytes: brief,
                ..limits()
            },
            "ErrorCode::ConnectionReadTimeout",
            Limit::BetweenBytes,
        ),
        // Each byte comes in time, all of them do not.
        (
            Then::Drip(head),
            EgressLimits {
                request_wall: Duration::from_millis(500),
                between_bytes: Duration::from_secs(10),
                ..limits()
            },
            "ErrorCode::HttpResponseTimeout",
            Limit::RequestWall,
        ),
        (
            Then::Drip("HTTP/1.1 200 OK\r\nx-endless: ".to_owned()),
            EgressLimits {
                request_wall: Duration::from_millis(500),
                ..limits()
            },
            "error: ErrorCode::HttpResponseTimeout",
            Limit::RequestWall,
        ),
    ];
    for (then, egress, expected, limit) in cases {
        let server = Server::start(then).await;
        let line = format!("GET http {} /", server.authority());
        let (said, task) = one(&server, &line, &[], egress).await;
        assert!(
            said[0].starts_with("error: ") && said[0].contains(expected),
            "{said:?} is not {expected}"
        );
        assert_eq!(task.counted().refused_limits, 1, "{said:?}");
        assert_eq!(task.breaches(), [(limit, 1)], "{said:?}");
    }
}

#[tokio::test]
async fn a_guest_that_would_not_wait_longer_breaks_no_limit() {
    let server = Server::start(Then::Stall(String::new())).await;
    let line = format!("GET http {} /", server.authority());
    let (said, task) = one(&server, &line, &[("patience", "200")], limits()).await;
    assert_eq!(said, ["error: ErrorCode::ConnectionReadTimeout"]);
    assert_eq!(task.breaches(), []);
}

#[tokio::test]
async fn a_resolver_that_does_not_answer_is_waited_for_as_long_as_for_a_connection() {
    let origin = "http://silent.test";
    let sandbox = sandbox(&Answers::of(&[]));
    let (origins, requests) = (list(&[origin]), list(&["GET http silent.test /"]));
    let given = [
        ("origins", origins.as_str()),
        ("requests", requests.as_str()),
    ];
    let brief = EgressLimits {
        connect: Duration::from_millis(200),
        ..limits()
    };
    let granted = granting(&[origin], &[]);
    let mut task = Task::start(&sandbox, "http-source", &granted, &given, brief).await;
    assert_eq!(task.says().await, ["error: ErrorCode::ConnectionTimeout"]);
    assert_eq!(task.breaches(), [(Limit::Connect, 1)]);
}

/// The system's resolver cannot be cut short, so a guest that gives up must not begin another.
#[tokio::test]
async fn a_look_up_takes_its_place_until_the_resolver_is_done_with_it() {
    let origin = "http://silent.test";
    let answers = Answers::of(&[]);
    let sandbox = sandbox(&answers);
    let (origins, requests) = (list(&[origin]), list(&["GET http silent.test /"; 4]));
    let given = [
        ("origins", origins.as_str()),
        ("requests", requests.as_str()),
    ];
    let two = EgressLimits {
        connect: Duration::from_millis(200),
        look_ups: 2,
        ..limits()
    };
    let granted = granting(&[origin], &[]);
    let mut task = Task::start(&sandbox, "http-source", &granted, &given, two).await;
    let late = "error: ErrorCode::ConnectionTimeout";
    let busy = "error: ErrorCode::ConnectionLimitReached";
    assert_eq!(task.says().await, [late, late, busy, busy]);
    assert_eq!(answers.asked.lock().unwrap().len(), 2);
    assert_eq!(task.breaches(), [(Limit::LookUps, 2), (Limit::Connect, 2)]);
}

#[derive(Debug)]
struct Overrun;

impl Resolver for Overrun {
    fn resolve(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async { Err(io::ErrorKind::ResourceBusy.into()) })
    }
}

#[tokio::test]
async fn a_name_that_nobody_has_time_for_is_not_unknown() {
    let origin = "http://some.test";
    let (origins, requests) = (list(&[origin]), list(&["GET http some.test /"]));
    let given = [
        ("origins", origins.as_str()),
        ("requests", requests.as_str()),
    ];
    let (sandbox, granted) = (sandbox(&Arc::new(Overrun)), granting(&[origin], &[]));
    let mut task = Task::start(&sandbox, "http-source", &granted, &given, limits()).await;
    assert_eq!(
        task.says().await,
        ["error: ErrorCode::ConnectionLimitReached"]
    );
    assert_eq!(task.breaches(), [(Limit::LookUps, 1)]);
}

#[tokio::test]
async fn bodies_end_at_their_limit() {
    let endless = Then::Flood("HTTP/1.1 200 OK\r\n\r\n".to_owned());
    let server = Server::start(endless).await;
    let line = format!("GET http {} /", server.authority());
    let small = EgressLimits {
        response_bytes: 100_000,
        request_bytes: 10_000,
        ..limits()
    };
    let (said, task) = one(&server, &line, &[], small.clone()).await;
    assert!(
        said[0].contains("HttpResponseBodySize(Some(100000))"),
        "{said:?}"
    );
    assert_eq!(task.breaches(), [(Limit::ResponseBytes, 1)]);
    let head = Server::start(Then::Flood("HTTP/1.1 200 OK\r\nx: ".to_owned())).await;
    let line = format!("GET http {} /", head.authority());
    let (said, _) = one(&head, &line, &[], small.clone()).await;
    assert!(said[0].starts_with("error: "), "{said:?}");

    let server = Server::start(Then::Stall(String::new())).await;
    let line = format!("POST http {} /", server.authority());
    let (said, _) = one(&server, &line, &[("send", "20000")], small.clone()).await;
    assert_eq!(said, ["error: ErrorCode::HttpRequestBodySize(Some(10000))"]);
    let line = format!("POST http {} / content-length=20000", server.authority());
    let (said, task) = one(&server, &line, &[("send", "20000")], small).await;
    assert_eq!(said, ["error: ErrorCode::HttpRequestBodySize(Some(10000))"]);
    assert_eq!(task.breaches(), [(Limit::RequestBytes, 1)]);
    assert_eq!(server.seen().len(), 1);
}

/// A server with the certificate for `secure.test` that the authority of the tests signed.
async fn secure(then: Then) -> (u16, Arc<Mutex<Vec<String>>>) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sandbox/tls");
    let certificate = CertificateDer::from_pem_file(format!("{folder}/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(format!("{folder}/server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(talk(stream, then.clone(), Arc::clone(&kept)));
            }
        }
    });
    (port, heads)
}

#[tokio::test]
async fn over_tls_the_peer_must_be_who_it_should_be() {
    let (port, heads) = secure(ok("welcome")).await;
    let answers = Answers::of(&[
        ("secure.test", &[&["127.0.0.1"]]),
        ("other.test", &[&["127.0.0.1"]]),
    ]);
    let origins = [
        format!("https://secure.test:{port}"),
        format!("https://other.test:{port}"),
        format!("https://127.0.0.1:{port}"),
    ];
    let requests: Vec<String> = ["secure.test", "other.test", "127.0.0.1"]
        .iter()
        .map(|host| format!("GET https {host}:{port} /"))
        .collect();
    let origins: Vec<&str> = origins.iter().map(String::as_str).collect();
    let requests: Vec<&str> = requests.iter().map(String::as_str).collect();
    let granted = granting(&origins, &["127.0.0.1"]);
    let (origins, requests) = (list(&origins), list(&requests));
    let given = [
        ("origins", origins.as_str()),
        ("requests", requests.as_str()),
    ];
    let sandbox = sandbox(&answers);
    let mut task = Task::start(&sandbox, "http-source", &granted, &given, limits()).await;
    let bad = "error: ErrorCode::TlsCertificateError";
    assert_eq!(task.says().await, ["200 7", bad, bad]);
    assert_eq!(heads.lock().unwrap().len(), 1);
}
