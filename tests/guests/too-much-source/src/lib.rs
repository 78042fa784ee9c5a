//! More than a batch may hold: an arena of 64 MiB (`arena`), 100 000 `records`, a table of 70 000
//! `topics`, one topic name of 10 MiB (`name`).

use raw::{Builder, Liar, Parts};

struct TooMuchSource;

impl Liar for TooMuchSource {
    const NAME: &'static str = "too-much-source";

    fn batch(what: &str) -> Parts {
        match what {
            "arena" | "" => Parts {
                arena: vec![0; 64 << 20],
                ..raw::good()
            },
            "records" => {
                let mut builder = Builder::new();
                (0..100_000).for_each(|_| {
                    builder
                        .add()
                        .value(b"x")
                        .finish()
                        .expect("small records fit")
                });
                builder.finish()
            }
            "topics" => Parts {
                topics: vec![String::new(); 70_000],
                ..raw::good()
            },
            "name" => Parts {
                topics: vec!["t".repeat(10 << 20)],
                ..raw::good()
            },
            other => panic!("no lie called {other}"),
        }
    }
}

raw::register!(TooMuchSource);
