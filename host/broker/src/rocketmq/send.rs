//! Sending: everything that can be known to fail is refused before a byte is sent, and only a
//! plain success counts as sent.

use super::RocketMq;
use super::encode;
use super::errors::{About, code};
use super::session::Lane;
use crate::error::BrokerError;
use crate::message::{MAX_BATCH_BYTES, MAX_BATCH_MESSAGES, Outgoing};
use connect_record::Queue;
use rocketmq_protocol::code::request_code::RequestCode;
use rocketmq_protocol::protocol::header::message_operation_header::send_message_request_header_v2::SendMessageRequestHeaderV2;
use rocketmq_protocol::protocol::remoting_command::RemotingCommand;
use std::time::{SystemTime, UNIX_EPOCH};

/// The producer group that brokers show; it has no meaning without transactions.
const PRODUCER_GROUP: &str = "rocketmq-connect";

impl RocketMq {
    pub(super) async fn send_all(
        &self,
        queue: &Queue,
        messages: &[Outgoing],
    ) -> Result<u64, BrokerError> {
        check(queue, messages)?;
        let about = About::queue("send", queue);
        let count = messages.len() as u64;
        let request = request(queue, messages);
        let timeout = self.clients.request_timeout;
        let response = self
            .call_queue(&about, queue, Lane::Calls, request, timeout)
            .await?;
        if response.code() != code::SUCCESS {
            self.check_queue(&about, queue)?;
        }
        let first = about.offset(&about.success(response)?, "queueOffset")?;
        self.ends.reaches(queue, first + count);
        Ok(first)
    }
}

fn check(queue: &Queue, messages: &[Outgoing]) -> Result<(), BrokerError> {
    for (index, message) in messages.iter().enumerate() {
        message.check().map_err(|fault| BrokerError::Message {
            queue: queue.clone(),
            index,
            fault,
        })?;
    }
    let count = messages.len();
    let bytes: usize = messages.iter().map(Outgoing::wire_size).sum();
    let refuse = |reason| {
        Err(BrokerError::Batch {
            queue: queue.clone(),
            reason,
        })
    };
    match count {
        0 => refuse("no message is given".to_owned()),
        _ if count > MAX_BATCH_MESSAGES => refuse(format!(
            "{count} messages are above the limit of {MAX_BATCH_MESSAGES}"
        )),
        _ if bytes > MAX_BATCH_BYTES => refuse(format!(
            "{bytes} bytes are above the limit of {MAX_BATCH_BYTES}"
        )),
        _ => Ok(()),
    }
}

fn request(queue: &Queue, messages: &[Outgoing]) -> RemotingCommand {
    let born = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    let mut header = SendMessageRequestHeaderV2 {
        a: PRODUCER_GROUP.into(),
        b: (&*queue.topic).into(),
        // The topic whose settings a missing topic is made with. Naming one that cannot be a
        // template keeps brokers from bringing a deleted topic back by themselves.
        c: (&*queue.topic).into(),
        d: 1,
        e: queue.id,
        f: 0,
        g: i64::try_from(born).unwrap_or(i64::MAX),
        h: 0,
        i: None,
        j: Some(0),
        k: Some(false),
        l: None,
        m: Some(false),
        n: Some((&*queue.broker).into()),
        topic_request_header: None,
    };
    if let [message] = messages {
        // Alone, a message needs no frame of a batch.
        header.i = Some(encode::properties(message).into());
        let body = message.body.clone();
        return RemotingCommand::create_request_command(RequestCode::SendMessageV2, header)
            .set_body(body);
    }
    // No properties of the batch itself: brokers append them to each of its messages.
    header.m = Some(true);
    RemotingCommand::create_request_command(RequestCode::SendBatchMessage, header)
        .set_body(encode::batch(messages))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MessageFault;

    #[test]
    fn a_bad_message_is_named_by_its_place() {
        let queue = Queue::new("t", "b", 0);
        let messages = [Outgoing::new("a"), Outgoing::new(""), Outgoing::new("")];
        let error = check(&queue, &messages).unwrap_err();
        assert!(error.permanent() && !error.retriable());
        assert!(matches!(
            error,
            BrokerError::Message {
                index: 1,
                fault: MessageFault::EmptyBody,
                ..
            }
        ));
    }

    #[test]
    fn a_batch_that_is_too_much_is_the_callers_fault_and_not_a_records() {
        let queue = Queue::new("t", "b", 0);
        let half = Outgoing::new(vec![1; MAX_BATCH_BYTES / 2]);
        for messages in [
            vec![],
            vec![Outgoing::new("a"); 501],
            vec![half.clone(), half],
        ] {
            let error = check(&queue, &messages).unwrap_err();
            assert!(matches!(error, BrokerError::Batch { .. }), "{error}");
            assert!(!error.permanent() && !error.retriable());
        }
        assert!(check(&queue, &vec![Outgoing::new("a"); 500]).is_ok());
    }
}
