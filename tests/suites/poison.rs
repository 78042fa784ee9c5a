//! Bad records and bad plugins: the task stops and says where and why, the offset does not pass the
//! record, nobody else notices, and once mended it goes on with exactly that record.

use std::time::Duration;

use anyhow::{Result, ensure};
use connect_tests::house::{PATIENCE, content, in_a_house, in_a_house_with};
use connect_tests::{wait, wire};
use serde_json::{Value, json};

/// Spans outside the arena, wrong indices, bits, sizes and texts, and too much of everything.
const LIARS: [&str; 6] = [
    "bad-span-source",
    "bad-index-source",
    "bad-bit-source",
    "bad-size-source",
    "bad-text-source",
    "too-much-source",
];

const ONE_QUEUE: &str = "[delivery]\ntopic-queues = 1\n";

fn file_sink(topic: &str, filename: &str) -> Value {
    json!({"connector.class": "file-sink", "filename": filename, "connect.topicnames": topic})
}

fn poison_sink(topic: &str, poison: &str, answer: &str) -> Value {
    json!({"connector.class": "poison-sink", "poison": poison, "answer": answer, "out": "good.txt",
           "connect.topicnames": topic})
}

#[test]
fn a_record_that_kills_its_plugin_is_found_and_not_passed() -> Result<()> {
    in_a_house(&["poison-sink"], |house| {
        house.topic("deadly", "one\ntwo\npoison\nthree\nfour\n")?;
        house.create("sink", &poison_sink("deadly", "poison", "trap"))?;
        let reason = house.fails_with(
            "sink",
            &[
                "`sink`",
                "poison-sink",
                "task 0",
                "deadly/",
                "offset 2",
                "put",
            ],
        )?;
        ensure!(
            !reason.contains("offset 2 to"),
            "not exactly that record: {reason}"
        );
        house.is_healthy()?;
        // What came before it went through, once; nothing after it did.
        house.becomes("good.txt", "one\ntwo\n")?;
        ensure!(
            house.setup.durable()?.committed("sink") == 2,
            "the offset passed the record"
        );

        house.create("sink", &poison_sink("deadly", "something else", "trap"))?;
        house.becomes("good.txt", "one\ntwo\npoison\nthree\nfour\n")?;
        wait::until_true("everything is committed", PATIENCE, || {
            Ok(house.setup.durable()?.committed("sink") == 5)
        })
    })
}

#[test]
fn a_poisonous_record_outlives_a_restart_of_the_worker() -> Result<()> {
    in_a_house(&["poison-sink"], |house| {
        house.topic("deadly", "one\npoison\ntwo\n")?;
        house.create("sink", &poison_sink("deadly", "poison", "trap"))?;
        house.fails_with("sink", &["offset 1"])?;
        house.becomes("good.txt", "one\n")?;
        house.worker.process().kill()?;
        house.worker = house.setup.start()?;
        house.fails_with("sink", &["offset 1"])?;
        house.becomes("good.txt", "one\n")?;
        house.create("sink", &poison_sink("deadly", "something else", "trap"))?;
        house.becomes("good.txt", "one\npoison\ntwo\n")
    })
}

#[test]
fn a_plugin_that_gives_up_is_waited_for_by_its_operator() -> Result<()> {
    in_a_house(&["poison-sink"], |house| {
        house.topic("fatal", "one\npoison\n")?;
        house.create("sink", &poison_sink("fatal", "poison", "fatal"))?;
        let words = [
            "poison-sink",
            "task 0",
            "fatal/",
            "poisoned by the record at offset 1",
        ];
        house.fails_with("sink", &words)?;
        // It said so itself: trying again would not help, so nothing does.
        wait::throughout(Duration::from_secs(2), || {
            let tasks = house.worker.rest()?.tasks("sink")?;
            ensure!(tasks.iter().all(|task| task.state == "FAILED"), "{tasks:?}");
            Ok(())
        })?;
        ensure!(
            house.setup.durable()?.committed("sink") <= 1,
            "the offset passed the record"
        );
        house.create("sink", &poison_sink("fatal", "something else", "fatal"))?;
        house.becomes("good.txt", "one\npoison\n")
    })
}

#[test]
fn a_rejected_record_stops_the_task_or_is_skipped_as_configured() -> Result<()> {
    in_a_house(&["reject-sink"], |house| {
        for (late, topic) in [("false", "at-once"), ("true", "at-the-flush")] {
            house.topic(topic, "one\ntwo\nbad\nthree\n")?;
            let mut config = json!({"connector.class": "reject-sink", "text": "bad", "late": late,
                                    "connect.topicnames": topic});
            house.create(topic, &config)?;
            let place = format!("{topic}/");
            house.fails_with(
                topic,
                &["reject-sink", "task 0", &place, "offset 2", "contains"],
            )?;
            ensure!(
                house.setup.durable()?.committed(topic) == 2,
                "the offset passed the record"
            );
            config["errors.tolerance"] = json!("all");
            house.create(topic, &config)?;
            wait::until_true("the others go through", PATIENCE, || {
                Ok(house.setup.durable()?.committed(topic) == 4)
            })?;
        }
        Ok(())
    })
}

/// A message that says it is compressed and is not is a bad record as any other: what stands before it
/// goes through, it is named, and it is passed only where that is wanted.
#[test]
fn a_message_that_cannot_be_read_stops_the_task_or_is_skipped() -> Result<()> {
    in_a_house_with(&[], ONE_QUEUE, |house| {
        house.topic("broken", "one\ntwo\n")?;
        house.create("first", &file_sink("broken", "first.txt"))?;
        house.becomes("first.txt", "one\ntwo\n")?;
        wire::send_as_compressed(&house.broker, "broken", 0, b"no zlib")?;
        house.append("broken.txt", "three\n")?;
        let words = ["`first`", "task 0", "broken/", "offset 2", "decompressed"];
        house.fails_with("first", &words)?;
        house.becomes("first.txt", "one\ntwo\n")?;
        ensure!(
            house.setup.durable()?.committed("first") == 2,
            "the offset passed the message"
        );
        house.is_healthy()?;

        // one that meets it amid others, and one that has nothing else
        let mut lenient = file_sink("broken", "lenient.txt");
        lenient["errors.tolerance"] = json!("all");
        house.create("lenient", &lenient)?;
        house.becomes("lenient.txt", "one\ntwo\nthree\n")?;
        lenient["filename"] = json!("first.txt");
        house.create("first", &lenient)?;
        house.becomes("first.txt", "one\ntwo\nthree\n")?;
        wait::until_true("everything is committed", PATIENCE, || {
            let durable = house.setup.durable()?;
            Ok(["first", "lenient"].map(|name| durable.committed(name)) == [4, 4])
        })
    })
}

#[test]
fn traps_of_a_sink_stop_its_task_alone() -> Result<()> {
    in_a_house(&["trap-sink"], |house| {
        house.topic("trapped", "one\ntwo\n")?;
        for place in ["put", "flush", "open"] {
            let name = format!("trap-in-{place}");
            house.create(
                &name,
                &json!({"connector.class": "trap-sink", "in": place, "connect.topicnames": "trapped"}),
            )?;
            house.fails_with(&name, &[&name, "trap-sink", "task 0", place])?;
            house.is_healthy()?;
            ensure!(
                house.setup.durable()?.committed(&name) == 0,
                "{place}: something was committed"
            );
        }
        Ok(())
    })
}

#[test]
fn traps_of_a_source_stop_its_task_alone() -> Result<()> {
    in_a_house(&["trap-source"], |house| {
        for place in ["open", "poll"] {
            let name = format!("trap-in-{place}");
            house.create(
                &name,
                &json!({"connector.class": "trap-source", "in": place, "connect.topicname": "nothing"}),
            )?;
            house.fails_with(&name, &[&name, "trap-source", "task 0", place])?;
            house.is_healthy()?;
        }
        Ok(())
    })
}

#[test]
fn sources_that_lie_stop_before_anything_is_sent() -> Result<()> {
    in_a_house(&LIARS, |house| {
        for plugin in LIARS {
            house.create(
                plugin,
                &json!({"connector.class": plugin, "connect.topicname": "lies"}),
            )?;
            let reason = house.fails_with(plugin, &[plugin, "task 0", "poll"])?;
            ensure!(
                reason.len() < 4_096,
                "{plugin}: a reason of {} bytes",
                reason.len()
            );
            house.worker.rest()?.delete(plugin)?;
        }
        house.is_healthy()?;
        // A sink of that topic finds it empty.
        house.create(
            "lies-sink",
            &json!({"connector.class": "file-sink", "filename": "lies.txt",
                    "connect.topicnames": "lies"}),
        )?;
        house.worker.reaches("lies-sink", "RUNNING", PATIENCE)?;
        house.is_healthy()?;
        ensure!(
            content(&house.setup.file("lies.txt")).is_empty(),
            "a lie was sent"
        );
        Ok(())
    })
}

#[test]
fn sinks_that_lie_commit_nothing() -> Result<()> {
    in_a_house(&["bad-reject-index"], |house| {
        house.topic("true", "one\ntwo\n")?;
        for what in ["behind", "twice", "ahead", "foreign"] {
            house.create(
                what,
                &json!({"connector.class": "bad-reject-index", "what": what,
                        "connect.topicnames": "true"}),
            )?;
            house.fails_with(what, &["bad-reject-index", "task 0"])?;
            ensure!(
                house.setup.durable()?.committed(what) == 0,
                "{what}: something was committed"
            );
        }
        Ok(())
    })
}

/// A failure of settings names the setting; a retriable one is no failure at all.
#[test]
fn failures_that_are_answers() -> Result<()> {
    in_a_house(&["answer-source"], |house| {
        let config = |answer: &str, times: &str| {
            json!({"connector.class": "answer-source", "in": "poll", "answer": answer,
                   "times": times, "connect.topicname": "answers"})
        };
        house.create("invalid", &config("invalid", "1000000"))?;
        house.fails_with("invalid", &["answer-source", "task 0", "answer"])?;
        house.create("retried", &config("retriable", "3"))?;
        house.create(
            "answers",
            &json!({"connector.class": "file-sink", "filename": "answers.txt",
                    "connect.topicnames": "answers"}),
        )?;
        let path = house.setup.file("answers.txt");
        wait::until_true("it works after three failures", PATIENCE, || {
            Ok(content(&path).starts_with("works\n"))
        })?;
        house.worker.rest()?.delete("retried")
    })
}

/// What failed for good waits for its operator, who mends the cause and resumes it.
#[test]
fn a_failed_task_starts_again_when_resumed() -> Result<()> {
    in_a_house(&[], |house| {
        house.append("needed.txt", "one\n")?;
        house.create(
            "needy",
            &json!({"connector.class": "file-source", "filename": "needed.txt",
                    "missing.file": "fail", "connect.topicname": "needed"}),
        )?;
        house.create(
            "needed-sink",
            &json!({"connector.class": "file-sink", "filename": "needed-out.txt",
                    "connect.topicnames": "needed"}),
        )?;
        house.becomes("needed-out.txt", "one\n")?;
        house.worker.process().terminate(PATIENCE)?;
        std::fs::remove_file(house.setup.file("needed.txt"))?;
        house.worker = house.setup.start()?;
        // It fails before it has tasks, so the connector itself says why.
        let rest = house.worker.rest()?.clone();
        wait::until_true("the connector has failed with its reason", PATIENCE, || {
            let needy = rest.connector("needy")?;
            Ok(needy.state == "FAILED" && needy.reason.contains("needed.txt"))
        })?;
        house.is_healthy()?;
        house.append("needed.txt", "two\n")?;
        house.worker.rest()?.resume("needy")?;
        house.becomes("needed-out.txt", "one\ntwo\n")
    })
}
