//! States row sizes that cannot be: `zero`, `small`, `huge`, or rows that do not add up (`ragged`).

use raw::{Liar, Parts};

struct BadSizeSource;

impl Liar for BadSizeSource {
    const NAME: &'static str = "bad-size-source";

    fn batch(what: &str) -> Parts {
        let mut parts = raw::good();
        match what {
            "zero" | "" => parts.entry_size = 0,
            "small" => parts.entry_size = 32,
            "huge" => parts.entry_size = u32::MAX,
            "ragged" => parts.entries.truncate(100),
            other => panic!("no lie called {other}"),
        }
        parts
    }
}

raw::register!(BadSizeSource);
