//! Asks the host for more and more of one thing with each poll: `what=handles` opens `step` of them
//! and keeps them, `what=random` takes `step` random bytes at once, `what=files` opens the file `path`
//! `step` times and `what=listings` begins to read `directory` so often; half of them are let go with
//! the next poll. Emits how much that was.
#![allow(unsafe_code, reason = "generated code")]

use std::fs::File;

use connect_sdk::{
    Batch, Connector, Description, Failure, Need, Next, OptionSpec, Result, Settings, Source,
    SourceContext,
};

// The standard library lets nobody hold a handle without a directory, nor choose how many random
// bytes are fetched at a time; only what is called here is written down.
wit_bindgen::generate!({
    inline: "
        package tests:greedy;
        world greedy {
            import wasi:clocks/monotonic-clock@0.2.1;
            import wasi:random/random@0.2.1;
        }
        package wasi:io@0.2.1 {
            interface poll { resource pollable; }
        }
        package wasi:clocks@0.2.1 {
            interface monotonic-clock {
                use wasi:io/poll@0.2.1.{pollable};
                type duration = u64;
                subscribe-duration: func(when: duration) -> pollable;
            }
        }
        package wasi:random@0.2.1 {
            interface random { get-random-bytes: func(len: u64) -> list<u8>; }
        }
    ",
    world: "tests:greedy/greedy",
    generate_all,
});

use wasi::clocks::monotonic_clock::{Pollable, subscribe_duration};
use wasi::random::random::get_random_bytes;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::DirectoryEntryStream;

struct Greedy {
    settings: Settings,
    step: u64,
    held: Vec<Pollable>,
    files: Vec<File>,
    listings: Vec<DirectoryEntryStream>,
}

impl Connector for Greedy {
    fn describe() -> Description {
        Description::new("greedy-source", env!("CARGO_PKG_VERSION"), "Wants more.")
            .option(
                OptionSpec::text("what")
                    .default("handles")
                    .allowed(["handles", "random", "files", "listings"]),
            )
            .option(OptionSpec::text("directory").doc("where `path` is"))
            .option(OptionSpec::text("path"))
            .option(
                OptionSpec::integer("step")
                    .default(1)
                    .doc("how much a poll"),
            )
    }

    fn needs(settings: &Settings) -> Vec<Need> {
        let directory = settings.get("directory").map(Need::read_directory);
        directory.into_iter().collect()
    }
}

impl Source for Greedy {
    fn open(settings: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self {
            settings: settings.clone(),
            step: settings.parsed("step", "a number")?,
            held: Vec::new(),
            files: Vec::new(),
            listings: Vec::new(),
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        let got = match self.settings.text("what")? {
            "random" => get_random_bytes(self.step).len(),
            "files" => {
                self.files.truncate(self.files.len() / 2);
                let path = self.settings.text("path")?;
                for _ in 0..self.step {
                    let file = File::open(path);
                    let file = file.map_err(|error| Failure::Fatal(error.to_string()))?;
                    self.files.push(file);
                }
                self.files.len()
            }
            "listings" => {
                self.listings.truncate(self.listings.len() / 2);
                let (directory, _) = get_directories().swap_remove(0);
                for _ in 0..self.step {
                    let listing = directory.read_directory();
                    let listing = listing.map_err(|error| Failure::Fatal(error.to_string()))?;
                    let first = listing.read_directory_entry();
                    first.map_err(|error| Failure::Fatal(error.to_string()))?;
                    self.listings.push(listing);
                }
                self.listings.len()
            }
            _ => {
                self.held.extend((0..self.step).map(subscribe_duration));
                self.held.len()
            }
        };
        batch
            .add()
            .partition("p")
            .position(b"0")
            .value(got.to_string().as_bytes())
            .finish()?;
        Ok(Next::Now)
    }
}

connect_sdk::register!(source: Greedy);
