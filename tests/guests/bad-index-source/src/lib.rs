//! Names an entry of a table that is not there: `topic`, `partition`, `schema` or `name`.

use raw::{Liar, Parts};

struct BadIndexSource;

impl Liar for BadIndexSource {
    const NAME: &'static str = "bad-index-source";

    fn batch(what: &str) -> Parts {
        let mut parts = raw::good();
        match what {
            "topic" | "" => raw::spoil(&mut parts, 1, 0, &[9, 0]),
            "partition" => raw::spoil(&mut parts, 1, 2, &[9, 0]),
            "schema" => raw::spoil(&mut parts, 1, 6, &[0xff, 0xff]),
            "name" => parts.headers[..2].copy_from_slice(&[1, 0]),
            other => panic!("no lie called {other}"),
        }
        parts
    }
}

raw::register!(BadIndexSource);
