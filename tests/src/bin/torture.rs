//! `cargo xtask torture`: the delivery tests at full size, with their figures on standard output.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its figures are its purpose"
)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use connect_tests::neighbours::{self, Hostile};
use connect_tests::scenario::Shape;
use connect_tests::{faults, kills, memory, swaps};

const HELP: &str = "\
cargo xtask torture [what] [--release] [option…]

  kills        (default) content and order through kills -9 of the worker
                 --lines N    lines of each shape (1000000, about a gibibyte)
                 --bytes N    about so many bytes instead
                 --kills N    in all, spread over the shapes (300); 0 compares content alone
                 --shape S    one, many-key or many-partition instead of all three
                 --seed N     another choice of lines and moments (1)
  memory       resident memory over a long run
                 --records N --bytes N   one run instead of 10 M of 256 B and 5 GB of 64 KiB
  sigterm      stops in good order: --lines N (1000000) --stops N (50)
  broker-loss  the broker killed under a running worker: --lines N (1000000) --losses N (20)

  neighbours   four pairs of connectors at half their maximum, alone and beside hostile guests
                 --pairs N    of turns alone and with each guest (10)
                 --seconds N  of a turn (5)
                 --guest P    spin, memory-bomb, log-flood, trap-source or idle-source instead of all,
                              or several with commas; `outside` is a process of the idle policy
                              beside the worker, for comparison
                 --rate N     records a second instead of half the measured maximum
                 --share N    `cpu-share` of the worker instead of its default
  swaps        changes of plugins under full load: --count N (500), some 40 MB of disk for each;
               with --count 1000 and --pause MS after each hundred records, whether old code is
               freed
  broken       changes to versions that fail: --count N (200)
  swap-kills   kills -9 during changes: --count N (100) --seed N (1)
  recycle      --count N (100000) instances made and ended in every way in one process

  --directory D   where the files go, removed afterwards unless it fails (a temporary
                  folder)
  --release       a worker of the release profile; it has no fail points, so every kill is random
";

/// Mean length of a line with its line end.
const MEAN: u64 = 1_080;

struct Options(Vec<String>);

impl Options {
    fn value(&mut self, name: &str) -> Result<Option<String>> {
        let Some(at) = self.0.iter().position(|argument| argument == name) else {
            return Ok(None);
        };
        self.0.remove(at);
        if at == self.0.len() {
            bail!("{name} needs a value");
        }
        Ok(Some(self.0.remove(at)))
    }

    fn number(&mut self, name: &str) -> Result<Option<u64>> {
        let Some(text) = self.value(name)? else {
            return Ok(None);
        };
        let plain = text.replace('_', "");
        Ok(Some(
            plain
                .parse()
                .with_context(|| format!("{name} cannot be `{text}`"))?,
        ))
    }

    fn end(self) -> Result<()> {
        match self.0.first() {
            Some(unknown) => bail!("`{unknown}` means nothing here\n\n{HELP}"),
            None => Ok(()),
        }
    }
}

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: Vec<String>) -> Result<()> {
    if arguments
        .iter()
        .any(|argument| argument == "--help" || argument == "-h")
    {
        print!("{HELP}");
        return Ok(());
    }
    let named = arguments
        .first()
        .is_some_and(|first| !first.starts_with('-'));
    let what = if named {
        arguments.remove(0)
    } else {
        "kills".to_owned()
    };
    let mut options = Options(arguments);
    let kept = options.value("--directory")?.map(PathBuf::from);
    let temporary = match &kept {
        Some(parent) => tempfile::tempdir_in(parent),
        None => tempfile::tempdir(),
    }
    .context("cannot make a folder for the files")?;
    let begun = Instant::now();
    let done = torture(&what, options, temporary.path());
    if done.is_err() {
        eprintln!("the files stay in {}", temporary.keep().display());
    }
    println!("took {:.0} s", begun.elapsed().as_secs_f64());
    done
}

fn torture(what: &str, mut options: Options, folder: &Path) -> Result<()> {
    match what {
        "kills" => kill_runs(options, folder)?,
        "memory" => memory_runs(options, folder)?,
        "sigterm" => {
            let lines = options.number("--lines")?.unwrap_or(1_000_000);
            let stops = options.number("--stops")?.unwrap_or(50);
            options.end()?;
            let seen = faults::stops(Shape::ManyKey, lines, stops, folder)?;
            println!(
                "{stops} stops: {}; longest {} ms",
                seen.report,
                seen.longest.as_millis()
            );
        }
        "broker-loss" => {
            let lines = options.number("--lines")?.unwrap_or(1_000_000);
            let losses = options.number("--losses")?.unwrap_or(20);
            options.end()?;
            let away = Duration::from_secs(10);
            let most = faults::IDLE_SHARE;
            let seen = faults::broker_losses(Shape::ManyKey, lines, losses, away, most, folder)?;
            println!(
                "{losses} losses of the broker: {lines} lines, none missing, all in order; {} came \
                 again; went on within {} ms; waiting cost {:.2} % of a core",
                seen.again,
                seen.longest.as_millis(),
                seen.share * 100.0
            );
        }
        "neighbours" => neighbours_run(options, folder)?,
        "swaps" => {
            let count = options.number("--count")?.unwrap_or(500);
            let pause = options.number("--pause")?.unwrap_or(0);
            options.end()?;
            let figures = swaps::under_load(count, pause, folder)?;
            println!("{figures}");
        }
        "broken" => {
            let count = options.number("--count")?.unwrap_or(200);
            options.end()?;
            let again = swaps::broken(count, folder)?;
            println!(
                "{count} broken versions, back from each, none missing, in order; {again} records came again, all of them after versions with other positions"
            );
        }
        "swap-kills" => {
            let count = options.number("--count")?.unwrap_or(100);
            let seed = options.number("--seed")?.unwrap_or(1);
            options.end()?;
            let again = swaps::killed(count, seed, folder)?;
            println!(
                "{count} kills during changes of both plugins, none missing, in order; {again} records came again"
            );
        }
        other => bail!("there is no torture `{other}`\n\n{HELP}"),
    }
    Ok(())
}

fn kill_runs(mut options: Options, folder: &Path) -> Result<()> {
    let bytes = options.number("--bytes")?.map(|bytes| bytes / MEAN);
    let lines = options.number("--lines")?.or(bytes).unwrap_or(1_000_000);
    let kills = options.number("--kills")?.unwrap_or(300);
    let seed = options.number("--seed")?.unwrap_or(1);
    let shapes = match options.value("--shape")? {
        Some(shape) => vec![shape.parse()?],
        None => Shape::ALL.to_vec(),
    };
    options.end()?;
    let worker = std::env::var("ROCKETMQ_CONNECT_BINARY").unwrap_or_default();
    let fail_points = !worker.contains("/release/");
    let share = kills.div_ceil(shapes.len() as u64);
    for shape in shapes {
        let plan = kills::Plan {
            shape,
            lines,
            kills: share,
            seed,
            fail_points,
        };
        let begun = Instant::now();
        let folder = folder.join(shape.name());
        let outcome = kills::run(&plan, &folder)
            .with_context(|| format!("{} lines, {share} kills, {}", lines, shape.name()))?;
        println!(
            "{}: {outcome}; {:.0} s",
            shape.name(),
            begun.elapsed().as_secs_f64()
        );
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

fn memory_runs(mut options: Options, folder: &Path) -> Result<()> {
    let records = options.number("--records")?;
    let bytes = options.number("--bytes")?;
    options.end()?;
    let runs = match (records, bytes) {
        (None, None) => vec![(10_000_000, 256), (5_000_000_000 / 65_536, 65_536)],
        (records, bytes) => vec![(records.unwrap_or(10_000_000), bytes.unwrap_or(256))],
    };
    for (number, (records, bytes)) in runs.into_iter().enumerate() {
        let folder = folder.join(number.to_string());
        let figures = memory::run(records, bytes, &folder)?;
        let mebi = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
        let tenths: Vec<String> = figures
            .tenths
            .iter()
            .map(|held| format!("{:.1}", mebi(*held)))
            .collect();
        println!(
            "{records} records of {bytes} B: median resident by tenth of the run {} MiB (last to \
             second {:.3}), peak {:.1}; {:.0} s, {:.0} records a second, {:.1} CPU s a million",
            tenths.join(" "),
            figures.growth(),
            mebi(figures.peak),
            figures.took.as_secs_f64(),
            records as f64 / figures.took.as_secs_f64(),
            figures.cpu.as_secs_f64() * 1e6 / records as f64,
        );
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

fn neighbours_run(mut options: Options, folder: &Path) -> Result<()> {
    let pairs = options.number("--pairs")?.unwrap_or(10);
    let seconds = options.number("--seconds")?.unwrap_or(5);
    let rate = options.number("--rate")?;
    let share = options.number("--share")?;
    let hostile = match options.value("--guest")? {
        None => Hostile::ALL.to_vec(),
        Some(names) => {
            let find = |name: &str| {
                let found = Hostile::ALL.into_iter().find(|one| one.name() == name);
                found.with_context(|| format!("no hostile guest is called `{name}`"))
            };
            names.split(',').map(find).collect::<Result<_>>()?
        }
    };
    options.end()?;
    let plan = neighbours::Plan {
        hostile,
        pairs: usize::try_from(pairs)?.max(1),
        turn: Duration::from_secs(seconds.max(1)),
        rate,
        extra: share.map_or_else(String::new, |share| {
            format!("[limits]\ncpu-share = {share}\n")
        }),
    };
    let outcome = neighbours::run(&plan, folder)?;
    print!("{outcome}");
    if !outcome.holds() {
        bail!("a neighbour suffers more than the machine's own changes and two points");
    }
    Ok(())
}
