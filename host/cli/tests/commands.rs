//! The binary as a person or a script sees it: what it prints where, and how it ends.

#[cfg(test)]
mod tests {
    use connect_store::{Store, StoredConnector, StoredOffset, Target};
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::path::Path;
    use std::process::{Child, Command, Output, Stdio};
    use std::time::{Duration, Instant};

    fn command(directory: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rocketmq-connect"));
        command.current_dir(directory).env_remove("RUST_LOG");
        command.env_remove("NAMESRV_ADDR");
        command
    }

    /// Exit code, standard output, standard error.
    fn told(output: Output) -> (i32, String, String) {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().expect("ended by a signal");
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert!(!err.contains("panicked"), "{err}");
        (code, out, err)
    }

    fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
        told(command(directory).args(arguments).output().unwrap())
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn usage_is_code_two_and_help_is_not_an_error() {
        let directory = tempfile::tempdir().unwrap();
        for arguments in [&["--help"][..], &["--version"], &["store", "--help"]] {
            let (code, out, err) = run(directory.path(), arguments);
            assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
            assert!(!out.is_empty());
        }
        for arguments in [
            &[][..],
            &["standalon"],
            &["standalone"],
            &["broker", "--directory", "x", "--broker-port", "2"],
            &["store", "--output", "xml", "dump"],
        ] {
            let (code, out, err) = run(directory.path(), arguments);
            assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {err}");
            assert!(!err.is_empty());
        }
    }

    #[test]
    fn a_configuration_that_cannot_be_used_is_code_two_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("w.toml"), "[worker]\nidd = 1\n").unwrap();
        let (code, out, err) = run(directory.path(), &["standalone", "-c", "w.toml"]);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.contains("line 2: unknown key `worker.idd`"), "{err}");
        let (code, _, err) = run(directory.path(), &["standalone", "-c", "absent.toml"]);
        assert_eq!(code, 2, "{err}");

        std::fs::write(directory.path().join("w.toml"), "").unwrap();
        let output = command(directory.path())
            .args(["standalone", "--config", "w.toml"])
            .env("RUST_LOG", "info,=?=")
            .output()
            .unwrap();
        let (code, _, err) = told(output);
        assert!(code == 2 && err.contains("RUST_LOG"), "{code}: {err}");
        assert_eq!(names(directory.path()), ["w.toml"]);
    }

    #[test]
    fn a_port_in_use_is_code_one_names_its_key_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let text = format!("[rest]\nlisten = \"{address}\"\n");
        std::fs::write(directory.path().join("w.toml"), text).unwrap();
        let (code, out, err) = run(directory.path(), &["standalone", "-c", "w.toml"]);
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        assert!(err.contains("rest.listen"), "{err}");
        assert!(err.contains(&address.to_string()), "{err}");
        assert_eq!(names(directory.path()), ["w.toml"]);
    }

    fn filled(directory: &Path) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let store = Store::open(directory).unwrap();
        runtime.block_on(async {
            let connector = StoredConnector {
                name: "one".to_owned(),
                config: [
                    ("connector.class".to_owned(), "file-source".to_owned()),
                    ("password".to_owned(), "hunter2".to_owned()),
                ]
                .into(),
                secret_keys: ["password".to_owned()].into(),
                target: Target::Paused,
                created: 1,
            };
            store.put_connector(connector).await.unwrap();
            let points = [("a\u{1b}.txt".to_owned(), "17".into())];
            store.commit_positions("one", &points, &[]).await.unwrap();
            let offset = StoredOffset {
                topic: "t".to_owned(),
                broker: "b".to_owned(),
                id: 3,
                next: 9,
            };
            store.commit_offsets("sink", &[offset]).await.unwrap();
        });
    }

    #[test]
    fn the_store_is_shown_in_columns_and_json_without_secrets() {
        let directory = tempfile::tempdir().unwrap();
        filled(&directory.path().join("data"));
        let show = |arguments: &[&str]| {
            let (code, out, err) = run(directory.path(), &[&["store"], arguments].concat());
            assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
            assert!(!out.contains("hunter2") && !out.contains('\u{1b}'), "{out}");
            out
        };
        assert_eq!(
            show(&["connectors"]),
            "NAME  TARGET  CLASS\none   paused  file-source\n"
        );
        assert_eq!(
            show(&["positions", "one"]),
            "PARTITION    POSITION\na\\u{1b}.txt  17\n"
        );
        assert_eq!(
            show(&["offsets", "sink"]),
            "TOPIC  BROKER  QUEUE  NEXT\nt      b       3      9\n"
        );
        // A connector that has nothing yet is no error.
        assert_eq!(show(&["offsets", "one"]), "TOPIC  BROKER  QUEUE  NEXT\n");

        let json = |arguments: &[&str]| -> serde_json::Value {
            serde_json::from_str(&show(&[arguments, &["--output", "json"]].concat())).unwrap()
        };
        assert_eq!(json(&["connectors"])[0]["config"]["password"], "<secret>");
        assert_eq!(json(&["positions", "one"])[0]["position"], "17");
        assert_eq!(json(&["offsets", "sink"])[0]["next"], 9);
        let dump = json(&["dump"]);
        assert_eq!(dump["positions"]["one"][0]["partition"], "a\u{1b}.txt");
        assert_eq!(dump["offsets"]["sink"][0]["id"], 3);
    }

    #[test]
    fn what_is_not_in_the_store_is_code_one() {
        let directory = tempfile::tempdir().unwrap();
        let (code, _, err) = run(directory.path(), &["store", "--directory", "no", "dump"]);
        assert!(code == 1 && err.contains("no store in no"), "{code}: {err}");
        assert!(names(directory.path()).is_empty());
        filled(&directory.path().join("data"));
        let (code, _, err) = run(directory.path(), &["store", "positions", "two"]);
        assert!(
            code == 1 && err.contains("no connector two"),
            "{code}: {err}"
        );
        assert!(err.contains("there are one"), "{err}");
    }

    #[test]
    fn a_file_that_is_no_plugin_is_code_one_and_named() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("x.wasm"), "hello").unwrap();
        for name in ["x.wasm", "absent.wasm"] {
            let (code, out, err) = run(directory.path(), &["plugin", "inspect", name]);
            assert_eq!((code, out.as_str()), (1, ""), "{err}");
            assert!(err.contains(name), "{err}");
        }
    }

    /// A worker, killed when a test ends early.
    struct Worker {
        child: Child,
        ready: String,
    }

    impl Worker {
        fn start(directory: &Path, conf: &str) -> Self {
            let mut child = command(directory)
                .args(["standalone", "-c", conf])
                .env("RUST_LOG", "trace")
                .stdout(Stdio::piped())
                .stderr(std::fs::File::create(directory.join("log")).unwrap())
                .spawn()
                .unwrap();
            let mut ready = String::new();
            let mut out = BufReader::new(child.stdout.take().unwrap());
            out.read_line(&mut ready).unwrap();
            child.stdout = Some(out.into_inner());
            Self { child, ready }
        }

        fn signal(&self) {
            let id = rustix::process::Pid::from_child(&self.child);
            rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        }
    }

    impl Drop for Worker {
        fn drop(&mut self) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }

    #[test]
    fn without_a_broker_a_worker_starts_answers_and_stops() {
        let directory = tempfile::tempdir().unwrap();
        let text = "[rest]\nlisten = \"127.0.0.1:0\"\n\
            [broker]\nnamesrv = \"127.0.0.1:1\"\naccess-key = \"visible7\"\nsecret-key = \"hunter2\"\n";
        std::fs::write(directory.path().join("w.toml"), text).unwrap();
        let mut worker = Worker::start(directory.path(), "w.toml");
        let log = || std::fs::read_to_string(directory.path().join("log")).unwrap();
        let words: Vec<&str> = worker.ready.split_whitespace().collect();
        assert_eq!(words.len(), 5, "{:?}: {}", worker.ready, log());
        assert_eq!([words[0], words[1], words[3]], ["ready", "rest", "namesrv"]);
        assert_eq!(words[4], "127.0.0.1:1");
        let mut answer = String::new();
        let mut stream = std::net::TcpStream::connect(words[2]).unwrap();
        std::io::Write::write_all(
            &mut stream,
            b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )
        .unwrap();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

        // The store can be looked into meanwhile, and a second worker is told.
        let (code, out, err) = run(directory.path(), &["store", "connectors"]);
        assert_eq!((code, out.as_str()), (0, "NAME  TARGET  CLASS\n"), "{err}");
        let (code, _, err) = run(directory.path(), &["standalone", "-c", "w.toml"]);
        assert!(
            code == 1 && err.contains("directory data is in use"),
            "{code}: {err}"
        );

        let begun = Instant::now();
        worker.signal();
        let status = worker.child.wait().unwrap();
        assert!(status.success(), "{status}: {}", log());
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
        let mut rest = String::new();
        let mut out = worker.child.stdout.take().unwrap();
        out.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "only the ready line belongs on standard output");
        let log = log();
        assert!(
            !log.contains("panicked") && log.contains("the worker has stopped"),
            "{log}"
        );
        // At the finest level of logging, too.
        assert!(!log.contains("hunter2") && !log.contains("visible7"));
    }
    /// The lines of `/proc/PID/FILE` of a child that waits for its input.
    fn process(child: &Child, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap()
    }

    #[test]
    fn a_compiling_child_binds_itself_before_it_reads() {
        use std::io::Write as _;
        let directory = tempfile::tempdir().unwrap();
        let mut child = command(directory.path())
            .args(["compile", "1073741824", "7"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let bound = |limits: &str| {
            let limit = |name: &str| -> Vec<String> {
                let line = limits.lines().find_map(|line| line.strip_prefix(name));
                let words = line.unwrap_or_default().split_whitespace();
                words.take(2).map(str::to_owned).collect()
            };
            limit("Max open files") == ["3", "3"]
                && limit("Max address space") == ["1073741824", "1073741824"]
                && limit("Max cpu time") == ["7", "12"]
                && limit("Max file size") == ["0", "0"]
                && limit("Max core file size") == ["0", "0"]
        };
        while !bound(&process(&child, "limits")) {
            assert!(Instant::now() < deadline, "{}", process(&child, "limits"));
            std::thread::yield_now();
        }
        // The name in parentheses may hold anything; behind it the nice value is the 17th field.
        assert_eq!(process(&child, "oom_score_adj").trim(), "1000");
        let nice = |stat: &str| -> i32 {
            let (_, fields) = stat.rsplit_once(')').unwrap();
            fields.split_whitespace().nth(16).unwrap().parse().unwrap()
        };
        let own = nice(&std::fs::read_to_string("/proc/self/stat").unwrap());
        assert_eq!(nice(&process(&child, "stat")), (own + 5).min(19));
        child.stdin.take().unwrap().write_all(b"junk").unwrap();
        let (code, out, err) = told(child.wait_with_output().unwrap());
        assert_eq!((code, out.as_str()), (65, ""), "{err}");
        assert!(
            !err.is_empty() && !err.contains("rocketmq-connect"),
            "{err}"
        );
    }
}
