//! A message that no honest client sends: one request of RocketMQ's remoting protocol, written by
//! hand, with flags that do not fit the body. Speaks no more of the protocol than that.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);
/// Request code of a single message, and of success.
const SEND_MESSAGE: i64 = 10;
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
    let header = json!({
        "code": SEND_MESSAGE, "language": "JAVA", "version": 401, "opaque": 1, "flag": 0,
        "serializeTypeCurrentRPC": "JSON",
        "extFields": {
            "producerGroup": "by-hand", "topic": topic, "defaultTopic": "TBW102",
            "defaultTopicQueueNums": "1", "queueId": queue.to_string(),
            "sysFlag": COMPRESSED.to_string(), "bornTimestamp": now.to_string(), "flag": "0",
            "properties": "", "reconsumeTimes": "0", "unitMode": "false", "batch": "false",
        },
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
