//! Kills a process with SIGKILL while it commits; whatever it had been told is done must be there.
//!
//! The child is this test binary once more. `STORE_CRASHES` sets the number of kills (default 25).

use super::basics::{connector, offset};
use crate::{Store, StoredOffset};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// Set for the child only: the directory of its store.
const DIRECTORY: &str = "STORE_CRASH_DIRECTORY";
const TASKS: usize = 6;

fn partition(task: usize, half: usize) -> String {
    format!("{task}/{half}")
}

/// Commits ever higher numbers in several tasks and says of each when it is done.
#[test]
#[ignore = "the child of kills_lose_nothing"]
fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Store::open(Path::new(&directory)).unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..TASKS {
            let store = store.clone();
            tasks.spawn(async move {
                let name = format!("c{task}");
                store.put_connector(connector(&name)).await.unwrap();
                let mut number = numbers(&store, task).0;
                loop {
                    number += 1;
                    // Two rows in one call: a kill must not tear them apart.
                    let text = number.to_string();
                    let points = [
                        (partition(task, 0), text.clone().into()),
                        (partition(task, 1), text.into()),
                    ];
                    store.commit_positions(&name, &points, &[]).await.unwrap();
                    let row = [offset("t", task as i32, number)];
                    store.commit_offsets(&name, &row).await.unwrap();
                    if number.is_multiple_of(16) {
                        store.put_connector(connector(&name)).await.unwrap();
                    }
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "done {task} {number}").unwrap();
                    out.flush().unwrap();
                }
            });
        }
        tasks.join_next().await.unwrap().unwrap();
    });
}

/// (position, offset) of a task; the two halves of its position must agree.
fn numbers(store: &Store, task: usize) -> (u64, u64) {
    let rows: BTreeMap<_, _> = store
        .positions(&format!("c{task}"))
        .unwrap()
        .into_iter()
        .map(|(key, value)| (key, String::from_utf8(value.to_vec()).unwrap()))
        .collect();
    let halves = [0, 1].map(|half| {
        rows.get(&partition(task, half))
            .map(|text| text.parse::<u64>().unwrap())
    });
    assert_eq!(halves[0], halves[1], "a commit was torn");
    let offsets = store.offsets(&format!("c{task}")).unwrap();
    let offset = offsets.first().map(|row: &StoredOffset| row.next);
    (halves[0].unwrap_or(0), offset.unwrap_or(0))
}

#[test]
fn kills_lose_nothing() {
    let kills: u32 = std::env::var("STORE_CRASHES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(25);
    let directory = tempfile::tempdir().unwrap();
    let mut done = [0_u64; TASKS];
    let mut positions = [0_u64; TASKS];
    let mut offsets = [0_u64; TASKS];
    let mut random = [0_u8; 2];
    for round in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::crash::child", "--ignored", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        getrandom::fill(&mut random).unwrap();
        // Killed after a random number of answers, so mostly amid the next commits.
        let answers = u16::from_le_bytes(random) % 400;
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut seen = 0;
        let mut note = |line: &str| {
            let Some(rest) = line.strip_prefix("done ") else {
                return false;
            };
            let (task, number) = rest.split_once(' ').unwrap();
            let (task, number) = (task.parse::<usize>().unwrap(), number.parse().unwrap());
            done[task] = done[task].max(number);
            true
        };
        let mut line = String::new();
        let mut killed = false;
        loop {
            if !killed && seen >= answers {
                child.kill().unwrap();
                killed = true;
            }
            line.clear();
            // After the kill the pipe still holds answers that count; a cut last line does not.
            let length = out.read_line(&mut line).unwrap();
            match line.strip_suffix('\n') {
                Some(line) => seen += u16::from(note(line)),
                None => {
                    assert!(killed, "the child ended by itself");
                    break;
                }
            }
            assert!(length > 0);
        }
        child.wait().unwrap();
        let store = Store::open(directory.path()).unwrap();
        for task in 0..TASKS {
            let (position, offset) = numbers(&store, task);
            // At least what was answered or seen before; one number at most was under way.
            let least = done[task].max(positions[task]);
            assert!(
                (least..=least + 1).contains(&position),
                "round {round}: position {position}, expected {least} or one more"
            );
            let least = done[task].max(offsets[task]);
            assert!(
                (least..=position).contains(&offset),
                "round {round}: offset {offset}, expected {least} to {position}"
            );
            if done[task] > 0 {
                let name = format!("c{task}");
                assert!(store.connectors().unwrap().contains(&connector(&name)));
            }
            positions[task] = position;
            offsets[task] = offset;
        }
    }
    assert!(done.iter().sum::<u64>() > u64::from(kills) * 10, "{done:?}");
}
