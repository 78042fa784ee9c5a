//! Bounds of queues, and the offsets that groups store at the broker.
//!
//! The offset a group stores is a mirror only. A Rust broker ignores a commit that goes backward
//! and still answers success, so a commit that may be backward is read back, and set by
//! compare-and-set where it did not take. `reset_offset_by_queue_id` is never used: after it later
//! commits are dropped in silence.

use super::RocketMq;
use super::errors::{About, code, wire_offset};
use super::session::Lane;
use super::sync::lock;
use crate::error::BrokerError;
use connect_record::Queue;
use rocketmq_protocol::code::request_code::RequestCode;
use rocketmq_protocol::protocol::command_custom_header::CommandCustomHeader;
use rocketmq_protocol::protocol::header::get_max_offset_request_header::GetMaxOffsetRequestHeader;
use rocketmq_protocol::protocol::header::get_min_offset_request_header::GetMinOffsetRequestHeader;
use rocketmq_protocol::protocol::header::query_consumer_offset_request_header::QueryConsumerOffsetRequestHeader;
use rocketmq_protocol::protocol::header::update_consumer_offset_conditional_header::UpdateConsumerOffsetConditionalHeader;
use rocketmq_protocol::protocol::header::update_consumer_offset_header::UpdateConsumerOffsetRequestHeader;
use rocketmq_protocol::protocol::headers::view::SearchOffsetRequestHeader;
use rocketmq_protocol::protocol::remoting_command::RemotingCommand;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

/// The last offset of each group and queue that a plain commit is known to have stored.
#[derive(Default)]
pub(super) struct Commits {
    stored: Mutex<HashMap<(String, Queue), u64>>,
}

impl RocketMq {
    async fn ask<H>(
        &self,
        about: &About<'_>,
        queue: &Queue,
        request: RequestCode,
        header: H,
    ) -> Result<RemotingCommand, BrokerError>
    where
        H: CommandCustomHeader + Send + Sync + 'static,
    {
        let request = RemotingCommand::create_request_command(request, header);
        let timeout = self.clients.request_timeout;
        self.call_queue(about, queue, Lane::Calls, request, timeout)
            .await
    }

    pub(super) async fn min_and_max(&self, queue: &Queue) -> Result<(u64, u64), BrokerError> {
        let about = About::queue("read bounds", queue);
        let header = GetMinOffsetRequestHeader {
            topic: (&*queue.topic).into(),
            queue_id: queue.id,
            topic_request_header: None,
        };
        let min = self
            .ask(&about, queue, RequestCode::GetMinOffset, header)
            .await?;
        let min = about.offset(&about.success(min)?, "offset")?;
        let header = GetMaxOffsetRequestHeader {
            topic: (&*queue.topic).into(),
            queue_id: queue.id,
            committed: true,
            topic_request_header: None,
        };
        let max = self
            .ask(&about, queue, RequestCode::GetMaxOffset, header)
            .await?;
        let max = about.offset(&about.success(max)?, "offset")?;
        Ok((min, self.ends.at_least(queue, max).max(min)))
    }

    pub(super) async fn first_after(
        &self,
        queue: &Queue,
        timestamp_ms: u64,
    ) -> Result<u64, BrokerError> {
        let about = About::queue("search offset by time", queue);
        let header = SearchOffsetRequestHeader {
            topic: (&*queue.topic).into(),
            queue_id: queue.id,
            timestamp: i64::try_from(timestamp_ms).unwrap_or(i64::MAX),
            ..SearchOffsetRequestHeader::default()
        };
        let answer = self
            .ask(&about, queue, RequestCode::SearchOffsetByTimestamp, header)
            .await?;
        about.offset(&about.success(answer)?, "offset")
    }

    pub(super) async fn commit(
        &self,
        group: &str,
        queue: &Queue,
        next: u64,
    ) -> Result<(), BrokerError> {
        let about = About::queue("commit offset", queue).group(group);
        // Brokers take offsets of queues that do not exist.
        self.check_queue(&about, queue)?;
        let key = (group.to_owned(), queue.clone());
        // Removed while in doubt: whoever comes next reads back again.
        let before = lock(&self.commits.stored).remove(&key);
        let header = UpdateConsumerOffsetRequestHeader {
            consumer_group: group.into(),
            topic: (&*queue.topic).into(),
            queue_id: queue.id,
            commit_offset: wire_offset(&about, next)?,
            topic_request_header: None,
        };
        let answer = self
            .ask(&about, queue, RequestCode::UpdateConsumerOffset, header)
            .await?;
        about.success(answer)?;
        if before.is_none_or(|before| next < before) {
            let stored = self.committed(group, queue).await?;
            // A Rust broker ignored it and said that all was well. What is set then is not
            // remembered, so that the next commit is read back as well.
            if stored != Some(next) {
                return self
                    .set_if_current(&about, group, queue, stored, next)
                    .await;
            }
        }
        lock(&self.commits.stored).insert(key, next);
        Ok(())
    }

    async fn set_if_current(
        &self,
        about: &About<'_>,
        group: &str,
        queue: &Queue,
        current: Option<u64>,
        next: u64,
    ) -> Result<(), BrokerError> {
        let expected_offset = match current {
            Some(current) => wire_offset(about, current)?,
            None => -1,
        };
        let header = UpdateConsumerOffsetConditionalHeader {
            consumer_group: group.into(),
            topic: (&*queue.topic).into(),
            queue_id: queue.id,
            expected_offset,
            new_offset: wire_offset(about, next)?,
        };
        let code = RequestCode::UpdateConsumerOffsetConditional;
        let answer = self.ask(about, queue, code, header).await?;
        // A precondition that does not match because the offset is there already is as good.
        let in_place = matches!(answer.code(), code::SUCCESS | code::INVALID_PARAMETER)
            && about
                .offset(&answer, "offset")
                .is_ok_and(|stored| stored == next);
        if in_place {
            // Until the group pulls, a broker that was set like this answers queries from a copy
            // of its own and may drop commits. The pull's result does not matter.
            drop(self.pull_from(group, queue, next, 1, Duration::ZERO).await);
            return Ok(());
        }
        let remark = answer.remark().map(ToString::to_string).unwrap_or_default();
        Err(BrokerError::Other {
            step: about.step,
            what: about.what(),
            code: answer.code(),
            remark: format!("the broker keeps {current:?} instead of {next}; {remark}"),
        })
    }

    pub(super) async fn committed(
        &self,
        group: &str,
        queue: &Queue,
    ) -> Result<Option<u64>, BrokerError> {
        let about = About::queue("read committed offset", queue).group(group);
        let mut header = QueryConsumerOffsetRequestHeader::new(group, &*queue.topic, queue.id);
        // Else a queue that starts at 0 is said to be committed at 0.
        header.set_zero_if_not_found = Some(false);
        let answer = self
            .ask(&about, queue, RequestCode::QueryConsumerOffset, header)
            .await?;
        match answer.code() {
            code::QUERY_NOT_FOUND | code::SUBSCRIPTION_GROUP_NOT_EXIST => Ok(None),
            _ => {
                let answer = about.success(answer)?;
                let offset: i64 = about.field(&answer, "offset")?;
                Ok(u64::try_from(offset).ok())
            }
        }
    }
}
