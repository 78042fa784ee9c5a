//! A record's form as a RocketMQ message, both ways: keys, tags, header properties, and the two
//! values a message cannot carry (empty and null).
//!
//! Names are the Java project's, so that its connectors and ours read each other's messages.
//! What does not fit into a message is an error of that record; nothing is cut or dropped here. Must
//! never decide what becomes of such a record, nor know how messages travel.

mod incoming;
mod outgoing;
#[cfg(test)]
mod tests;

pub use incoming::append_message;
pub use outgoing::message_of;

/// Prefix of a property that carries a record's header.
const HEADER_PREFIX: &str = "connect-ext-";
/// RocketMQ's property for what a message can be found by.
const KEYS: &str = "KEYS";
/// The header that says which message a record was.
const MESSAGE_ID: &str = "MQ-SYS-MSG_ID";
/// Milliseconds since the epoch of the record.
const TIMESTAMP: &str = "connect.timestamp";
/// `empty` or `null`, beside a one-byte body.
const VALUE: &str = "connect.value";
/// `empty` when the key is present and has no bytes, `base64` when KEYS holds its encoded form.
const KEY: &str = "connect.key";
/// Names of headers whose values are empty, which a message property cannot be.
const EMPTY_HEADERS: &str = "connect.empty-headers";
/// Names of headers whose values are written in base64, since a property is text.
const BINARY_HEADERS: &str = "connect.base64-headers";
/// Between the names of those two; a header name holding it is refused.
const SEPARATOR: char = ',';

/// Why a record cannot become a message, or a message a record.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// The converter refuses the key or the value.
    #[error("the {part} cannot be converted")]
    Convert {
        /// `key` or `value`.
        part: &'static str,
        /// Why it does.
        #[source]
        source: connect_convert::ConvertError,
    },
    /// A header's name cannot be a property's.
    #[error("header name {name:?} {reason}")]
    HeaderName {
        /// As the record has it.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A property that says how to read the message cannot be understood.
    #[error("property `{property}` holds {found:?}: {reason}")]
    Property {
        /// Its name.
        property: String,
        /// Its value, the beginning of a long one.
        found: String,
        /// What was expected.
        reason: &'static str,
    },
    /// The message itself is broken.
    #[error("the message cannot be read: {0}")]
    Unreadable(String),
    /// Nobody says where the record is to go.
    #[error("the record has no topic and the connector no `connect.topicname`")]
    NoTopic,
    /// The topic's name is none that RocketMQ takes.
    #[error("the record names a topic that RocketMQ refuses: {0}")]
    Topic(String),
    /// It is larger than a message may be.
    #[error("the record cannot be sent as a message")]
    Message(#[from] connect_broker::MessageFault),
    /// The batch has no room for it; an empty one may have.
    #[error("the record does not fit into a batch: {0}")]
    TooLarge(String),
}

/// How a sink sees a property of the broker's own; none of any other.
fn system(property: &str) -> Option<&'static str> {
    match property {
        "MIN_OFFSET" => Some("MQ-SYS-MIN_OFFSET"),
        "TRACE_ON" => Some("MQ-SYS-TRACE_ON"),
        "MAX_OFFSET" => Some("MQ-SYS-MAX_OFFSET"),
        "MSG_REGION" => Some("MQ-SYS-MSG_REGION"),
        "UNIQ_KEY" => Some("MQ-SYS-UNIQ_KEY"),
        "WAIT" => Some("MQ-SYS-WAIT"),
        "TAGS" => Some("MQ-SYS-TAGS"),
        _ => None,
    }
}

/// Whether `text` can be a property's value: RocketMQ separates properties with these two.
fn plain(text: &str) -> bool {
    !text.contains(['\u{1}', '\u{2}'])
}
