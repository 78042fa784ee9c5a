//! Sockets, names and environment: closed without a grant, open exactly as far as one goes.

use connect_sandbox::{EgressLimits, Limit};

use crate::outside::{Answers, Server, Task, Then, grants, list, sandbox};

fn limits() -> EgressLimits {
    EgressLimits::default()
}

fn hello() -> Then {
    Then::Stall("welcome\n".to_owned())
}

#[tokio::test]
async fn without_a_grant_whoever_imports_sockets_loads_and_is_denied() {
    let answers = Answers::of(&[("localhost", &[&["127.0.0.1"]])]);
    let sandbox = sandbox(&answers);
    let given = [("network", "true")];
    let mut task = Task::start(&sandbox, "probe-source", "", &given, limits()).await;
    let said = task.says().await;
    assert_eq!(said.len(), 4, "{said:?}");
    for (line, name) in said.iter().zip(["connect", "listen", "udp", "resolve"]) {
        assert!(line.starts_with(&format!("{name}=error: ")), "{line}");
    }
    assert_eq!(said[0], "connect=error: PermissionDenied");
    assert_eq!(answers.asked.lock().unwrap().len(), 0);
    assert_eq!(task.counted().refused(), 4);
}

#[tokio::test]
async fn a_socket_only_connects_and_only_where_it_may() {
    let sandbox = sandbox(&Answers::of(&[]));
    let tcp = list(&["127.0.0.1:1"]);
    let given = [("tcp", tcp.as_str())];
    let granted = "[[grant]]\nplugin = \"socket-probe\"\ntcp = [\"127.0.0.1:1\"]\n";
    let mut task = Task::start(&sandbox, "socket-probe", granted, &given, limits()).await;
    let said = task.says().await;
    let expected = [
        "bind=access-denied",
        "bind-any=access-denied",
        "listen=access-denied",
        // Granted, but nobody is there.
        "connect=connection-refused",
        "metadata=access-denied",
        "datagrams=access-denied",
    ];
    assert_eq!(said, expected);
    let counted = task.counted();
    assert_eq!((counted.refused_never, counted.refused_connections), (4, 1));
}

#[tokio::test]
async fn a_name_leads_to_its_granted_port_and_not_to_another() {
    let (server, other) = (Server::start(hello()).await, Server::start(hello()).await);
    let answers = Answers::of(&[("db.test", &[&["127.0.0.1"]])]);
    let sandbox = sandbox(&answers);
    let port = server.address.port();
    let named = format!("db.test:{port}");
    let granted =
        format!("[[grant]]\nplugin = \"*\"\ntcp = [{named:?}]\naddress = [\"127.0.0.1\"]\n");
    let connect = [
        // The very address, before its name was looked up: nobody granted that.
        server.address.to_string(),
        named.clone(),
        format!("db.test:{}", other.address.port()),
        other.address.to_string(),
        "elsewhere.test:80".to_owned(),
    ];
    let connect: Vec<&str> = connect.iter().map(String::as_str).collect();
    let (tcp, connect) = (list(&[&named]), list(&connect));
    let given = [("tcp", tcp.as_str()), ("connect", connect.as_str())];
    let mut task = Task::start(&sandbox, "tcp-source", &granted, &given, limits()).await;
    let said = task.says().await;
    assert!(said[0].starts_with("error: PermissionDenied"), "{said:?}");
    assert_eq!(said[1], "welcome");
    for line in &said[2..] {
        assert!(line.starts_with("error: "), "{said:?}");
    }
    assert_eq!((server.seen().len(), other.seen().len()), (1, 0));
    assert!(
        !answers
            .asked
            .lock()
            .unwrap()
            .contains(&"elsewhere.test".to_owned())
    );
    let counted = task.counted();
    assert_eq!((counted.connections, counted.refused_look_ups), (1, 1));
}

#[tokio::test]
async fn a_name_that_turns_private_leads_nowhere() {
    let server = Server::start(hello()).await;
    let port = server.address.port();
    let inside = Server::at(([127, 0, 0, 2], port).into(), hello()).await;
    let answers = Answers::of(&[("db.test", &[&["127.0.0.1"], &["127.0.0.2", "10.0.0.1"]])]);
    let sandbox = sandbox(&answers);
    let named = format!("db.test:{}", server.address.port());
    let granted =
        format!("[[grant]]\nplugin = \"*\"\ntcp = [{named:?}]\naddress = [\"127.0.0.1\"]\n");
    let before = server.address.to_string();
    let (tcp, connect) = (list(&[&named]), list(&[&named, &before]));
    let given = [("tcp", tcp.as_str()), ("connect", connect.as_str())];
    let mut task = Task::start(&sandbox, "tcp-source", &granted, &given, limits()).await;
    assert_eq!(task.says().await, ["welcome", "welcome"]);
    let said = task.says().await;
    // Nor does the earlier address hold, since the name does not lead there any more.
    assert!(
        said.iter().all(|line| line.starts_with("error: ")),
        "{said:?}"
    );
    assert_eq!((server.seen().len(), inside.seen().len()), (2, 0));
}

#[tokio::test]
async fn an_answer_holds_only_what_may_be_reached() {
    let answers = Answers::of(&[
        (
            "mixed.test",
            &[&["8.8.8.8", "10.0.0.1", "169.254.169.254", "::1"]],
        ),
        ("inside.test", &[&["10.0.0.1"]]),
    ]);
    let sandbox = sandbox(&answers);
    let names = ["mixed.test", "inside.test"];
    let granted = "[[grant]]\nplugin = \"*\"\nresolve = [\"mixed.test\", \"inside.test\"]\n";
    let resolve = list(&names);
    let look_up = list(&["mixed.test", "inside.test", "other.test", "127.0.0.1"]);
    let given = [("resolve", resolve.as_str()), ("look-up", look_up.as_str())];
    let mut task = Task::start(&sandbox, "tcp-source", granted, &given, limits()).await;
    let said = task.says().await;
    assert_eq!(said[0], "8.8.8.8");
    assert!(
        said[1].starts_with("error: ") && said[2].starts_with("error: "),
        "{said:?}"
    );
    // An address is its own answer, and opens nothing.
    assert_eq!(said[3], "127.0.0.1");
    assert_eq!(*answers.asked.lock().unwrap(), names);
}

#[tokio::test]
async fn sockets_have_a_limit_and_are_given_back() {
    let server = Server::start(hello()).await;
    let sandbox = sandbox(&Answers::of(&[]));
    let endpoint = server.authority();
    let granted = format!("[[grant]]\nplugin = \"*\"\ntcp = [{endpoint:?}]\n");
    let many: Vec<&str> = std::iter::repeat_n(endpoint.as_str(), 5).collect();
    let (tcp, connect) = (list(&[&endpoint]), list(&many));
    for (hold, welcome) in [("true", 3), ("false", 5)] {
        let given = [
            ("tcp", tcp.as_str()),
            ("connect", connect.as_str()),
            ("hold", hold),
        ];
        let three = EgressLimits {
            connections: 3,
            ..limits()
        };
        let mut task = Task::start(&sandbox, "tcp-source", &granted, &given, three).await;
        let said = task.says().await;
        let came = said.iter().filter(|line| *line == "welcome").count();
        assert_eq!(came, welcome, "{said:?}");
        let over = 5 - welcome as u64;
        assert_eq!(task.counted().refused_limits, over);
        let breaches = (over > 0).then_some((Limit::Connections, over));
        assert_eq!(task.breaches(), Vec::from_iter(breaches));
        assert_eq!(task.counted().connections, welcome as u64);
    }
}

#[tokio::test]
async fn of_the_environment_only_what_was_granted_is_seen() {
    let sandbox = sandbox(&Answers::of(&[]));
    let variables = list(&["PATH", "CONNECT_NOT_SET"]);
    let given = [("variables", variables.as_str())];
    let granted =
        "[[grant]]\nplugin = \"*\"\nenvironment = [\"PATH\", \"CONNECT_NOT_SET\", \"HOME\"]\n";
    let mut task = Task::start(&sandbox, "env-source", granted, &given, limits()).await;
    assert_eq!(
        task.says().await,
        [format!("PATH={}", std::env::var("PATH").unwrap())]
    );
    let mut task = Task::start(&sandbox, "env-source", "", &given, limits()).await;
    assert_eq!(task.says().await, [""; 0]);
    let one = grants("[[grant]]\nplugin = \"*\"\nenvironment = [\"HOME\"]\n");
    let needs = [connect_sandbox::Need {
        kind: "environment".into(),
        target: "PATH".into(),
    }];
    let denied = one.allow("env-source", &needs).unwrap_err().to_string();
    assert!(denied.ends_with("environment = [\"PATH\"]"), "{denied}");
}
