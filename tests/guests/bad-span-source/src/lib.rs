//! Points outside the arena or the headers: `value`, `overflow`, `position`, `run` or `header`. Or all
//! its records point at the same 100 000 bytes (`amplify`), together more than a batch may carry.

use raw::{Builder, ENTRY_SIZE, Liar, Parts};

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
            "amplify" => {
                let mut builder = Builder::new();
                for number in 0..1_000 {
                    let value = vec![0; if number == 0 { 100_000 } else { 0 }];
                    builder.add().value(&value).finish().expect("it fits");
                }
                parts = builder.finish();
                let (first, rest) = parts.entries.split_at_mut(ENTRY_SIZE);
                rest.chunks_exact_mut(ENTRY_SIZE)
                    .for_each(|entry| entry.copy_from_slice(first));
            }
            other => panic!("no lie called {other}"),
        }
        parts
    }
}

raw::register!(BadSpanSource);
