//! Sets a bit that means nothing (`unknown`), clears one whose field is set (`cleared`), fills the gap
//! of a header (`gap`), or has an origin though nothing was transformed (`origin`).

use raw::{Liar, Parts};

struct BadBitSource;

impl Liar for BadBitSource {
    const NAME: &'static str = "bad-bit-source";

    fn batch(what: &str) -> Parts {
        let mut parts = raw::good();
        match what {
            "unknown" | "" => raw::spoil(&mut parts, 1, 59, &[0x80]),
            "cleared" => raw::spoil(&mut parts, 1, 56, &[0]),
            "gap" => parts.headers[2] = 1,
            "origin" => raw::spoil(&mut parts, 1, 60, &[1]),
            other => panic!("no lie called {other}"),
        }
        parts
    }
}

raw::register!(BadBitSource);
