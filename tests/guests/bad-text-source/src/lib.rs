//! Text that is none: a value that says it is a string (`value`), a schema that is no schema
//! (`schema`) or nested without end (`nested`), a header name that is kept for the worker (`header`).

use raw::{Liar, Parts};

struct BadTextSource;

impl Liar for BadTextSource {
    const NAME: &'static str = "bad-text-source";

    fn batch(what: &str) -> Parts {
        let mut parts = raw::good();
        match what {
            "value" | "" => parts.arena.fill(0xff),
            "schema" => parts.schemas[0] = "{\"type\":".into(),
            "nested" => parts.schemas[0] = "{\"type\":\"array\",\"items\":".repeat(100_000),
            "header" => parts.names[0] = ":offset".into(),
            other => panic!("no lie called {other}"),
        }
        parts
    }
}

raw::register!(BadTextSource);
