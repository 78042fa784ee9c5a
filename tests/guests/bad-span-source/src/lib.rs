//! Points outside the arena or the headers: `value`, `overflow`, `position`, `run` or `header`.

use raw::{Liar, Parts};

struct BadSpanSource;

impl Liar for BadSpanSource {
    const NAME: &'static str = "bad-span-source";

    fn batch(what: &str) -> Parts {
        let mut parts = raw::good();
        match what {
            // Offset 4096 and length 200, far behind the arena's end.
            "value" | "" => raw::spoil(&mut parts, 1, 32, &[0, 16, 0, 0, 200, 0, 0, 0]),
            "overflow" => raw::spoil(&mut parts, 1, 32, &[0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0]),
            "position" => raw::spoil(&mut parts, 2, 48, &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f]),
            "run" => raw::spoil(&mut parts, 0, 40, &[2, 0, 0, 0, 2, 0, 0, 0]),
            "header" => parts.headers[4..8].copy_from_slice(&u32::MAX.to_le_bytes()),
            other => panic!("no lie called {other}"),
        }
        parts
    }
}

raw::register!(BadSpanSource);
