//! What the worker needs of RocketMQ: the [`Broker`] trait, its messages and its errors, and
//! [`RocketMq`], the adaptor over `rocketmq-client-rust`.
//!
//! No type of a RocketMQ crate may appear in a public signature here, and no policy lives here:
//! when to retry, what to skip and which offset to resume from is the runtime's business. This
//! crate says precisely what happened ([`BrokerError::retriable`], [`BrokerError::permanent`],
//! [`Pulled`]) and hides the traps of the client and of both brokers.
//!
//! ```no_run
//! use connect_broker::{Broker, Outgoing, Pulled, RocketMq, RocketMqSettings};
//! use std::time::Duration;
//!
//! # async fn example() -> Result<(), connect_broker::BrokerError> {
//! let broker = RocketMq::connect(RocketMqSettings::new("127.0.0.1:9876", "worker-1"))?;
//! let queues = broker.ensure_topic("orders", 4).await?;
//! let queue = &queues[0];
//! let first = broker.send(queue, &[Outgoing::new("a line")]).await?;
//! if let Pulled::Messages { messages, .. } =
//!     broker.pull("readers", queue, first, 32, Duration::from_secs(1)).await?
//! {
//!     assert_eq!(&messages.read()?[0].body[..], b"a line");
//! }
//! broker.close().await;
//! # Ok(())
//! # }
//! ```
#![recursion_limit = "512"]

mod error;
mod message;
mod properties;
mod rocketmq;
mod traits;

pub use error::BrokerError;
pub use message::{
    Incoming, MAX_BATCH_BYTES, MAX_BATCH_MESSAGES, MAX_PROPERTIES_BYTES, MessageFault, Outgoing,
    Pulled,
};
pub use properties::Properties;
pub use rocketmq::{Messages, RocketMq, RocketMqSettings, Unreadable};
pub use traits::{BoxFuture, Broker};
