//! Requests of RocketMQ's remoting protocol, written by hand: a message that no honest client sends, with
//! flags that do not fit the body, and a topic of a kind that the worker does not make. Speaks no more of
//! the protocol than that.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);
/// Request codes of a single message, of several and of a topic, and the one of success.
const SEND_MESSAGE: i64 = 10;
const SEND_BATCH_MESSAGE: i64 = 320;
const UPDATE_AND_CREATE_TOPIC: i64 = 17;
const SUCCESS: i64 = 0;
/// Flag of a message whose body is compressed; without a kind of compression it is zlib.
const COMPRESSED: i64 = 1;
/// No answer of the broker to a message is longer.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Puts a message into a queue whose body is said to be compressed, as it is given.
///
/// # Errors
/// The broker does not take it.
pub fn send_as_compressed(broker: &str, topic: &str, queue: i64, body: &[u8]) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let fields = json!({
        "producerGroup": "by-hand", "topic": topic, "defaultTopic": "TBW102",
        "defaultTopicQueueNums": "1", "queueId": queue.to_string(),
        "sysFlag": COMPRESSED.to_string(), "bornTimestamp": now.to_string(), "flag": "0",
        "properties": "", "reconsumeTimes": "0", "unitMode": "false", "batch": "false",
    });
    ask(broker, SEND_MESSAGE, &fields, body)
}

/// Makes a topic of one queue, of the kind `BatchCQ`: what comes in one send is kept as one entry.
///
/// # Errors
/// The broker does not make it.
pub fn create_batched_topic(broker: &str, topic: &str) -> Result<()> {
    let fields = json!({
        "topic": topic, "defaultTopic": "TBW102", "readQueueNums": "1", "writeQueueNums": "1",
        "perm": "6", "topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false",
        "attributes": "+queue.type=BatchCQ",
    });
    ask(broker, UPDATE_AND_CREATE_TOPIC, &fields, &[])
}

/// Puts messages into the one queue of a topic in one send, as a Java producer does it: with an id of the
/// whole, without which no broker keeps it as one entry.
///
/// # Errors
/// The broker does not take it.
pub fn send_batch(broker: &str, topic: &str, id: &str, bodies: &[String]) -> Result<()> {
    let mut batch = Vec::new();
    for body in bodies {
        // all of it, magic code, checksum, flag; the body's length, the body; no properties
        let length = 4 + 3 * 4 + 4 + body.len() + 2;
        batch.extend(u32::try_from(length)?.to_be_bytes());
        batch.extend([0; 3 * 4]);
        batch.extend(u32::try_from(body.len())?.to_be_bytes());
        batch.extend(body.as_bytes());
        batch.extend([0; 2]);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    // as in a single message's request, with a letter for each name
    let fields = json!({
        "a": "by-hand", "b": topic, "c": "TBW102", "d": "1", "e": "0", "f": "0",
        "g": now.to_string(), "h": "0", "i": format!("UNIQ_KEY\u{1}{id}\u{2}"), "j": "0",
        "k": "false", "m": "true",
    });
    ask(broker, SEND_BATCH_MESSAGE, &fields, &batch)
}

/// One request on a connection of its own.
fn ask(broker: &str, code: i64, fields: &Value, body: &[u8]) -> Result<()> {
    let header = json!({
        "code": code, "language": "JAVA", "version": 401, "opaque": 1, "flag": 0,
        "serializeTypeCurrentRPC": "JSON", "extFields": fields,
    });
    let header = header.to_string();
    let mut stream = TcpStream::connect(broker).context("the broker cannot be reached")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // the length of all that follows, that of the header (its kind, JSON, is 0), both, the body
    let length = u32::try_from(4 + header.len() + body.len())?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(&u32::try_from(header.len())?.to_be_bytes())?;
    stream.write_all(header.as_bytes())?;
    stream.write_all(body)?;
    let answer = answer(&mut stream).context("the broker's answer")?;
    let code = answer.get("code").and_then(Value::as_i64);
    ensure!(code == Some(SUCCESS), "the broker answers {answer}");
    Ok(())
}

/// The header of the next answer.
fn answer(stream: &mut TcpStream) -> Result<Value> {
    let mut number = || -> Result<usize> {
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes)?;
        Ok(usize::try_from(u32::from_be_bytes(bytes))?)
    };
    let (all, header) = (number()?, number()?);
    ensure!(
        all < LONGEST_ANSWER && header <= all,
        "{header} of {all} bytes"
    );
    let mut text = vec![0; header];
    stream.read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}
