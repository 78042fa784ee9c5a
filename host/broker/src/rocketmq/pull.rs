//! Reading a queue from an offset, with long polls.
//!
//! Never goes on from an offset that the broker proposes unless messages up to it were delivered:
//! a proposal below the asked one would repeat messages (see [`super::ends`]), one above would
//! skip some unseen.

use super::RocketMq;
use super::decode::{self, Frame};
use super::errors::{About, code, wire_offset};
use super::messages::Messages;
use super::session::Lane;
use crate::error::BrokerError;
use crate::message::Pulled;
use connect_record::Queue;
use rocketmq_protocol::code::request_code::RequestCode;
use rocketmq_protocol::protocol::header::pull_message_request_header::PullMessageRequestHeader;
use rocketmq_protocol::protocol::remoting_command::RemotingCommand;
use std::time::Duration;
use tokio::time::Instant;

/// Longest wait at the broker.
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// Time for the answer beyond the wait. A Java broker looks at waiting polls every 5 s only.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Most messages asked for at once.
const MOST_MESSAGES: u32 = 1024;
/// Most bytes asked for at once.
const MOST_BYTES: i32 = 4 * 1024 * 1024;
/// Pauses before asking again where the index lags.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// Bits of a pull's flags: wait for messages, and the subscription is in the request.
const FLAG_SUSPEND: i32 = 2;
const FLAG_SUBSCRIPTION: i32 = 4;

/// One pull as it is asked.
struct Ask<'a> {
    group: &'a str,
    queue: &'a Queue,
    offset: u64,
    max_messages: u32,
}

impl RocketMq {
    pub(super) async fn pull_from(
        &self,
        group: &str,
        queue: &Queue,
        offset: u64,
        max_messages: u32,
        wait: Duration,
    ) -> Result<Pulled, BrokerError> {
        let ask = Ask {
            group,
            queue,
            offset,
            max_messages,
        };
        let deadline = Instant::now() + wait.min(LONGEST_WAIT);
        let mut pause = FIRST_PAUSE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Some(pulled) = self.pull_once(&ask, left).await? {
                return Ok(pulled);
            }
            if Instant::now() + pause >= deadline {
                return Ok(Pulled::Nothing { next: offset });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// `None`: the index lags, or the messages are being deleted; ask again.
    async fn pull_once(
        &self,
        ask: &Ask<'_>,
        wait: Duration,
    ) -> Result<Option<Pulled>, BrokerError> {
        let about = About::queue("pull", ask.queue).group(ask.group);
        let request = request(&about, ask, wait)?;
        let timeout = if wait.is_zero() {
            self.clients.request_timeout.max(ANSWER_WITHIN)
        } else {
            wait + ANSWER_WITHIN
        };
        let mut response = self
            .call_queue(&about, ask.queue, Lane::Polls, request, timeout)
            .await?;
        let (queue, offset) = (ask.queue, ask.offset);
        match response.code() {
            code::SUCCESS => {
                let body = response.take_body().unwrap_or_default();
                // not followed, only a bound; without one no entry of several is taken apart at the end
                let end = about.offset(&response, "nextBeginOffset").unwrap_or(0);
                let frames = decode::frames(body, end).map_err(|reason| about.nonsense(reason))?;
                let found = delivered(queue, frames, offset);
                let Some(found) = found.map_err(|reason| about.nonsense(reason))? else {
                    // nothing new in a full answer: not to be asked for again at once
                    return Ok(None);
                };
                if let Pulled::Messages { next, .. } = &found {
                    self.ends.reaches(queue, *next);
                    self.ends.shown(queue, *next);
                }
                Ok(Some(found))
            }
            code::PULL_NOT_FOUND => {
                // Right at the end as the broker shows it, so its index is up to here.
                self.ends.shown(queue, offset);
                Ok(Some(Pulled::Nothing { next: offset }))
            }
            // The files behind these offsets are being deleted: soon they are below the minimum.
            code::PULL_RETRY_IMMEDIATELY => Ok(None),
            code::PULL_OFFSET_MOVED => {
                let min = about.offset(&response, "minOffset")?;
                let max = about.offset(&response, "maxOffset")?;
                if offset < min {
                    return Ok(Some(Pulled::Below { min }));
                }
                if offset <= max || self.ends.lags(queue, offset) {
                    return Ok(None);
                }
                Ok(Some(Pulled::Above { max }))
            }
            _ => {
                self.check_queue(&about, queue)?;
                Err(about.error(&response))
            }
        }
    }
}

fn request(
    about: &About<'_>,
    ask: &Ask<'_>,
    wait: Duration,
) -> Result<RemotingCommand, BrokerError> {
    let waits = !wait.is_zero();
    let header = PullMessageRequestHeader {
        consumer_group: ask.group.into(),
        topic: (&*ask.queue.topic).into(),
        queue_id: ask.queue.id,
        queue_offset: wire_offset(about, ask.offset)?,
        max_msg_nums: i32::try_from(ask.max_messages.clamp(1, MOST_MESSAGES)).unwrap_or(1),
        sys_flag: FLAG_SUBSCRIPTION | if waits { FLAG_SUSPEND } else { 0 },
        suspend_timeout_millis: u64::try_from(wait.as_millis()).unwrap_or(0),
        subscription: Some("*".into()),
        expression_type: Some("TAG".into()),
        max_msg_bytes: Some(MOST_BYTES),
        ..PullMessageRequestHeader::default()
    };
    Ok(RemotingCommand::create_request_command(
        RequestCode::PullMessage,
        header,
    ))
}

/// The messages from `offset` on; `None` when there is none among them.
fn delivered(queue: &Queue, mut frames: Vec<Frame>, offset: u64) -> Result<Option<Pulled>, String> {
    let offsets = frames.iter().map(Frame::queue_offset);
    let mut pairs = offsets.clone().zip(offsets.skip(1));
    if let Some((before, after)) = pairs.find(|(before, after)| before >= after) {
        return Err(format!(
            "messages come out of order: offset {before} before {after}"
        ));
    }
    // Brokers that keep a batch as one entry deliver it whole, even when asked for its middle.
    frames.retain(|frame| frame.end() > offset);
    let next = frames.last().map(Frame::end);
    Ok(next.map(|next| Pulled::Messages {
        messages: Messages::new(queue.clone(), frames),
        next,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offsets: &[u64]) -> Vec<Frame> {
        offsets.iter().map(|offset| Frame::at(*offset)).collect()
    }

    #[test]
    fn the_next_offset_is_after_the_last_message_whatever_the_broker_proposes() {
        let queue = Queue::new("t", "b", 0);
        let pulled = delivered(&queue, at(&[3, 4, 9]), 4).unwrap();
        let messages = Messages::new(queue.clone(), at(&[4, 9]));
        assert_eq!(pulled, Some(Pulled::Messages { messages, next: 10 }));
        assert_eq!(delivered(&queue, at(&[3]), 4), Ok(None));
        assert_eq!(delivered(&queue, at(&[]), 4), Ok(None));
    }

    #[test]
    fn disorder_is_an_error() {
        let queue = Queue::new("t", "b", 0);
        assert!(delivered(&queue, at(&[5, 4]), 0).is_err());
        assert!(delivered(&queue, at(&[4, 4]), 0).is_err());
    }
}
