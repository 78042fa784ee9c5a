//! The cluster's brokers, groups, and whether all of it can be reached. A group that exists is left
//! as it is.

use super::RocketMq;
use super::errors::{About, code};
use super::link::Patience;
use super::name_servers::unregistered;
use super::names::check_group;
use super::session::Lane;
use crate::error::BrokerError;
use rocketmq_protocol::code::request_code::RequestCode;
use rocketmq_protocol::protocol::RemotingSerializable;
use rocketmq_protocol::protocol::header::empty_header::EmptyHeader;
use rocketmq_protocol::protocol::header::get_subscription_group_config_request_header::GetSubscriptionGroupConfigRequestHeader;
use rocketmq_protocol::protocol::remoting_command::RemotingCommand;
use rocketmq_protocol::protocol::subscription::subscription_group_config::SubscriptionGroupConfig;

/// The cluster that is meant when there are several and none is named.
const DEFAULT_CLUSTER: &str = "DefaultCluster";

/// A broker that takes writes.
pub(super) struct Master {
    pub(super) name: String,
    pub(super) address: String,
}

impl RocketMq {
    pub(super) async fn make_group(&self, group: &str) -> Result<(), BrokerError> {
        let step = "create group";
        check_group(group)?;
        let about = About {
            step,
            topic: None,
            queue: None,
            group: Some(group),
        };
        for master in self.masters(step).await? {
            let header = GetSubscriptionGroupConfigRequestHeader {
                group: group.into(),
                rpc_request_header: None,
            };
            let code = RequestCode::GetSubscriptionGroupConfig;
            let asking = RemotingCommand::create_request_command(code, header);
            let answer = self.call_master(step, &master, asking).await?;
            if answer.code() == code::SUCCESS {
                continue;
            }
            if answer.code() != code::SUBSCRIPTION_GROUP_NOT_EXIST {
                return Err(about.error(&answer));
            }
            let body = SubscriptionGroupConfig::new(group.into()).encode();
            let body = body.map_err(|error| about.nonsense(error.to_string()))?;
            let code = RequestCode::UpdateAndCreateSubscriptionGroup;
            let making =
                RemotingCommand::create_request_command(code, EmptyHeader {}).set_body(body);
            about.success(self.call_master(step, &master, making).await?)?;
        }
        Ok(())
    }

    pub(super) async fn check_reachable(&self) -> Result<(), BrokerError> {
        let step = "check";
        for master in self.masters(step).await? {
            self.link_to(&master.name, &master.address)
                .probe(step)
                .await?;
        }
        Ok(())
    }

    pub(super) async fn call_master(
        &self,
        step: &'static str,
        master: &Master,
        request: RemotingCommand,
    ) -> Result<RemotingCommand, BrokerError> {
        let timeout = self.clients.request_timeout;
        let link = self.link_to(&master.name, &master.address);
        link.call(step, Lane::Calls, Patience::Wait, request, timeout)
            .await
    }

    /// The master brokers of the cluster that the settings mean, at least one.
    pub(super) async fn masters(&self, step: &'static str) -> Result<Vec<Master>, BrokerError> {
        let info = self.cluster(step).await?;
        let clusters = info.cluster_addr_table.unwrap_or_default();
        let brokers = info.broker_addr_table.unwrap_or_default();
        let mut names: Vec<&str> = clusters.keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        let wanted = match (self.cluster.as_deref(), names.as_slice()) {
            (Some(wanted), _) => wanted,
            (None, [only]) => only,
            (None, names) if names.len() > 1 && !names.contains(&DEFAULT_CLUSTER) => {
                let reason = format!(
                    "is needed, there are several clusters: {}",
                    names.join(", ")
                );
                return Err(BrokerError::Setting {
                    key: "cluster",
                    reason,
                });
            }
            _ => DEFAULT_CLUSTER,
        };
        let mut masters: Vec<Master> = brokers
            .values()
            .filter(|broker| {
                clusters
                    .get(wanted)
                    .is_some_and(|members| members.contains(broker.broker_name()))
            })
            .filter_map(|broker| {
                Some(Master {
                    name: broker.broker_name().to_string(),
                    address: broker.broker_addrs().get(&0)?.to_string(),
                })
            })
            .collect();
        masters.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        if masters.is_empty() {
            let known = if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            };
            let reason = format!(
                "no master broker of it is registered at the name server (clusters known: {known})"
            );
            return Err(unregistered(step, format!("cluster {wanted}"), reason).await);
        }
        Ok(masters)
    }
}
