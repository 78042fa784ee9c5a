//! The name servers: asking one of them, and learning what it says.

use super::RocketMq;
use super::errors::{About, code};
use super::link::{Link, Patience};
use super::session::Lane;
use crate::error::BrokerError;
use rocketmq_protocol::code::request_code::RequestCode;
use rocketmq_protocol::protocol::body::broker_body::cluster_info::ClusterInfo;
use rocketmq_protocol::protocol::header::client_request_header::GetRouteInfoRequestHeader;
use rocketmq_protocol::protocol::header::empty_header::EmptyHeader;
use rocketmq_protocol::protocol::remoting_command::RemotingCommand;
use rocketmq_protocol::protocol::route::topic_route_data::TopicRouteData;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The name servers, asked in turn from the one that answered last.
pub(super) struct NameServers {
    links: Vec<Arc<Link>>,
    preferred: AtomicUsize,
}

impl NameServers {
    pub(super) fn new(links: Vec<Arc<Link>>) -> Self {
        Self {
            links,
            preferred: AtomicUsize::new(0),
        }
    }

    pub(super) fn links(&self) -> &[Arc<Link>] {
        &self.links
    }

    async fn call(
        &self,
        step: &'static str,
        patience: Patience,
        timeout: Duration,
        request: impl Fn() -> RemotingCommand,
    ) -> Result<RemotingCommand, BrokerError> {
        let preferred = self.preferred.load(Ordering::Relaxed);
        let count = self.links.len().max(1);
        // With several, none is waited for as long as another may answer at once.
        let quick = if count == 1 && patience == Patience::Wait {
            0
        } else {
            count
        };
        let patient = usize::from(patience == Patience::Wait);
        let turns = (0..quick).map(|turn| (turn, Patience::Now));
        let mut failure = BrokerError::Closed { step };
        for (turn, patience) in turns.chain((0..patient).map(|turn| (turn, Patience::Wait))) {
            let at = (preferred + turn) % count;
            let Some(link) = self.links.get(at) else {
                break;
            };
            match link
                .call(step, Lane::Calls, patience, request(), timeout)
                .await
            {
                Ok(response) => {
                    self.preferred.store(at, Ordering::Relaxed);
                    return Ok(response);
                }
                Err(closed @ BrokerError::Closed { .. }) => return Err(closed),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

impl RocketMq {
    /// Asks the name servers for a topic and learns the answer; `None`: they know of no such topic.
    pub(super) async fn fetch_route(
        &self,
        step: &'static str,
        topic: &str,
        patience: Patience,
    ) -> Result<Option<()>, BrokerError> {
        let request = || {
            let header = GetRouteInfoRequestHeader::new(topic, Some(true));
            RemotingCommand::create_request_command(RequestCode::GetRouteinfoByTopic, header)
        };
        let about = About::topic(step, topic);
        let timeout = self.clients.request_timeout;
        let mut response = self.names.call(step, patience, timeout, request).await?;
        if response.code() == code::TOPIC_NOT_EXIST {
            return Ok(None);
        }
        response = about.success(response)?;
        let body = response.take_body().unwrap_or_default();
        let route = TopicRouteData::decode(&body)
            .map_err(|error| about.nonsense(format!("the route cannot be read: {error}")))?;
        self.routes.learn(topic, &route);
        Ok(Some(()))
    }

    /// The clusters and brokers that are registered.
    pub(super) async fn cluster(&self, step: &'static str) -> Result<ClusterInfo, BrokerError> {
        let request = || {
            RemotingCommand::create_request_command(
                RequestCode::GetBrokerClusterInfo,
                EmptyHeader {},
            )
        };
        let about = About {
            step,
            topic: None,
            queue: None,
            group: None,
        };
        let timeout = self.clients.request_timeout;
        let response = self
            .names
            .call(step, Patience::Wait, timeout, request)
            .await?;
        let body = about.success(response)?.take_body().unwrap_or_default();
        let cluster = ClusterInfo::decode(&body)
            .map_err(|error| about.nonsense(format!("the cluster cannot be read: {error}")))?;
        self.routes
            .learn_brokers(cluster.broker_addr_table.iter().flat_map(HashMap::values));
        Ok(cluster)
    }
}

/// The error for something no name server knows, after a pause: like an endpoint that is away it
/// paces whoever tries again at once.
pub(super) async fn unregistered(step: &'static str, what: String, reason: String) -> BrokerError {
    tokio::time::sleep(Duration::from_millis(200)).await;
    BrokerError::Unreachable {
        step,
        what,
        source: Arc::new(std::io::Error::other(reason)),
    }
}
