//! Messages as they go out and come in, and what makes a message impossible to send.
//!
//! Knows the wire limits but no wire: encoding and decoding live in the adaptor. Never changes a
//! message to make it fit.

use bytes::Bytes;

use crate::properties::Properties;
use crate::rocketmq::Messages;

/// Most messages in one [`send`](crate::Broker::send).
pub const MAX_BATCH_MESSAGES: usize = 500;

/// Most bytes in one [`send`](crate::Broker::send), by [`Outgoing::wire_size`]: what brokers take
/// by default (4 MiB) less 8 KiB, since some count their own additions.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024 - 8 * 1024;

/// Most bytes of all properties of a message together, KEYS and TAGS included, as encoded: a
/// separator after each name and each value. The format's bound is 32 767; 512 bytes are kept for
/// the message id and for what brokers add (cluster, region, trace flag).
pub const MAX_PROPERTIES_BYTES: usize = 32_767 - 512;

/// Ends a property's name on the wire.
pub(crate) const NAME_END: &str = "\u{1}";
/// Ends a property's value on the wire.
pub(crate) const VALUE_END: &str = "\u{2}";
/// Bytes around a batched message's body and properties: total, magic, checksum, flag, two lengths.
pub(crate) const FRAME_BYTES: usize = 4 * 5 + 2;
/// Room for the message id that the adaptor adds (`UNIQ_KEY`, at most 56 characters).
pub(crate) const ID_PROPERTY_BYTES: usize = 8 + 1 + 56 + 1;

/// A message to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// The system property KEYS, verbatim: what tools find the message by (words separated by
    /// spaces) and what a compacted topic keeps the newest of.
    pub keys: Option<String>,
    /// The system property TAGS, verbatim.
    pub tags: Option<String>,
    /// User properties in this order. Names must differ, and must not be RocketMQ's own.
    pub properties: Vec<(String, String)>,
    /// The body; RocketMQ has no empty one.
    pub body: Bytes,
}

impl Outgoing {
    /// A message with this body and nothing else.
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            ..Self::default()
        }
    }

    /// KEYS, TAGS and the user properties, in the order in which they are encoded.
    pub(crate) fn all_properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.keys
            .as_deref()
            .map(|keys| ("KEYS", keys))
            .into_iter()
            .chain(self.tags.as_deref().map(|tags| ("TAGS", tags)))
            .chain(
                self.properties
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str())),
            )
    }

    /// Bytes of all properties as encoded, by which [`MAX_PROPERTIES_BYTES`] counts.
    #[must_use]
    pub fn properties_size(&self) -> usize {
        self.all_properties()
            .map(|(name, value)| name.len() + value.len() + 2)
            .sum()
    }

    /// Bytes this message takes in a batch, by which [`MAX_BATCH_BYTES`] counts.
    #[must_use]
    pub fn wire_size(&self) -> usize {
        FRAME_BYTES + ID_PROPERTY_BYTES + self.properties_size() + self.body.len()
    }

    /// Whether RocketMQ can carry this message at all.
    ///
    /// # Errors
    /// The first thing found that is wrong; it names the property where there is one.
    pub fn check(&self) -> Result<(), MessageFault> {
        if self.body.is_empty() {
            return Err(MessageFault::EmptyBody);
        }
        for (name, value) in self.all_properties() {
            let fault = |fault: fn(String) -> MessageFault| Err(fault(name.to_owned()));
            if name.is_empty() {
                return Err(MessageFault::UnnamedProperty);
            }
            if value.is_empty() {
                return fault(|name| MessageFault::EmptyProperty { name });
            }
            let separates = |text: &str| memchr::memchr2(1, 2, text.as_bytes()).is_some();
            if separates(name) || separates(value) {
                return fault(|name| MessageFault::SeparatorInProperty { name });
            }
        }
        for (at, (name, _)) in self.properties.iter().enumerate() {
            if crate::rocketmq::is_reserved_property(name) {
                return Err(MessageFault::ReservedProperty { name: name.clone() });
            }
            if self
                .properties
                .iter()
                .take(at)
                .any(|(earlier, _)| earlier == name)
            {
                return Err(MessageFault::RepeatedProperty { name: name.clone() });
            }
        }
        let bytes = self.properties_size();
        if bytes > MAX_PROPERTIES_BYTES {
            let largest = self
                .all_properties()
                .max_by_key(|(name, value)| name.len() + value.len());
            return Err(MessageFault::PropertiesTooLarge {
                bytes,
                largest: largest.map(|(name, _)| name.to_owned()).unwrap_or_default(),
            });
        }
        let bytes = self.wire_size();
        if bytes > MAX_BATCH_BYTES {
            return Err(MessageFault::TooLarge { bytes });
        }
        Ok(())
    }
}

/// Why a message can never be sent as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageFault {
    /// The body has no byte.
    #[error("the body is empty, which RocketMQ cannot store")]
    EmptyBody,
    /// Body, properties and frame are above [`MAX_BATCH_BYTES`].
    #[error("{bytes} bytes are above the limit of {MAX_BATCH_BYTES}")]
    TooLarge {
        /// By [`Outgoing::wire_size`].
        bytes: usize,
    },
    /// A property without a name.
    #[error("a property has an empty name")]
    UnnamedProperty,
    /// A property without a value; readers would not see it.
    #[error("property {name:?} has an empty value, which RocketMQ cannot store")]
    EmptyProperty {
        /// Its name.
        name: String,
    },
    /// A name or value that holds one of the two characters by which properties are separated.
    #[error("property {name:?} holds U+0001 or U+0002, which separate properties on the wire")]
    SeparatorInProperty {
        /// Its name.
        name: String,
    },
    /// A user property with one of RocketMQ's own names.
    #[error("property {name:?} has a name that RocketMQ keeps for itself")]
    ReservedProperty {
        /// Its name.
        name: String,
    },
    /// Two properties of one name; readers would see one of them.
    #[error("property {name:?} is there twice")]
    RepeatedProperty {
        /// Its name.
        name: String,
    },
    /// All properties together are above [`MAX_PROPERTIES_BYTES`].
    #[error(
        "properties of {bytes} bytes are above the limit of {MAX_PROPERTIES_BYTES}; the largest is {largest:?}"
    )]
    PropertiesTooLarge {
        /// By [`Outgoing::properties_size`].
        bytes: usize,
        /// Name of the largest one.
        largest: String,
    },
}

/// A message read from a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Its place in the queue. Rises from message to message; compacted topics have gaps.
    pub queue_offset: u64,
    /// The broker's id of it; empty where the producer gave one of its own.
    pub broker_id: String,
    /// When the producer made it, milliseconds since 1970 by the producer's clock.
    pub born_timestamp: u64,
    /// When the broker stored it, milliseconds since 1970 by the broker's clock.
    pub store_timestamp: u64,
    /// The body, decompressed; a slice of the whole answer, which it keeps alive.
    pub body: Bytes,
    /// All properties as on the wire, RocketMQ's own (KEYS, TAGS, UNIQ_KEY, …) included.
    pub properties: Properties,
}

impl Incoming {
    /// Bytes of body and properties.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.body.len() + self.properties.bytes()
    }

    /// The value of a property.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name)
    }

    /// The producer's id (`UNIQ_KEY`) where there is one, else the broker's.
    #[must_use]
    pub fn message_id(&self) -> &str {
        self.property("UNIQ_KEY").unwrap_or(&self.broker_id)
    }
}

/// What a [`pull`](crate::Broker::pull) found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// At least one message.
    Messages {
        /// In the order of the queue, from the offset asked for on.
        messages: Messages,
        /// Where to go on: after the last of them.
        next: u64,
    },
    /// Nothing there yet. Also the answer at an offset that was acknowledged by a send of this
    /// client but is not readable yet.
    Nothing {
        /// Where to go on: the offset asked for.
        next: u64,
    },
    /// Messages from the offset asked for up to `min` are gone (deleted by age or compaction).
    Below {
        /// The first offset that still exists.
        min: u64,
    },
    /// Nothing was ever stored at the offset asked for: the queue ends at `max`, and has for 10 s
    /// if this client knows of messages beyond (the topic was deleted and made anew, or the
    /// broker lost its last writes).
    Above {
        /// The end of the queue.
        max: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(properties: &[(&str, &str)]) -> Outgoing {
        Outgoing {
            properties: properties
                .iter()
                .map(|(n, v)| ((*n).into(), (*v).into()))
                .collect(),
            ..Outgoing::new("x")
        }
    }

    #[test]
    fn a_plain_message_is_fine() {
        let mut message = with(&[("connect-ext-a", "\u{0} ü\n")]);
        message.keys = Some("a b".into());
        message.tags = Some("t".into());
        assert_eq!(message.check(), Ok(()));
        assert_eq!(
            message.properties_size(),
            4 + 1 + 3 + 1 + 4 + 1 + 1 + 1 + 13 + 1 + 5 + 1
        );
    }

    #[test]
    fn each_fault_names_its_property() {
        assert_eq!(Outgoing::new("").check(), Err(MessageFault::EmptyBody));
        assert_eq!(
            with(&[("", "v")]).check(),
            Err(MessageFault::UnnamedProperty)
        );
        let name = || "n".to_owned();
        assert_eq!(
            with(&[("n", "")]).check(),
            Err(MessageFault::EmptyProperty { name: name() })
        );
        for bad in ["\u{1}", "a\u{2}b"] {
            assert_eq!(
                with(&[("n", bad)]).check(),
                Err(MessageFault::SeparatorInProperty { name: name() })
            );
            assert!(matches!(
                with(&[(bad, "v")]).check(),
                Err(MessageFault::SeparatorInProperty { .. })
            ));
        }
        assert_eq!(
            with(&[("n", "1"), ("n", "2")]).check(),
            Err(MessageFault::RepeatedProperty { name: name() })
        );
        for reserved in ["KEYS", "TAGS", "UNIQ_KEY", "DELAY", "WAIT"] {
            assert_eq!(
                with(&[(reserved, "v")]).check(),
                Err(MessageFault::ReservedProperty {
                    name: reserved.into()
                })
            );
        }
        let mut message = Outgoing::new("x");
        message.keys = Some(String::new());
        assert_eq!(
            message.check(),
            Err(MessageFault::EmptyProperty {
                name: "KEYS".into()
            })
        );
    }

    #[test]
    fn limits_are_exact() {
        let room = MAX_PROPERTIES_BYTES - "n".len() - 2;
        assert_eq!(with(&[("n", &"v".repeat(room))]).check(), Ok(()));
        assert_eq!(
            with(&[("small", "v"), ("n", &"v".repeat(room))]).check(),
            Err(MessageFault::PropertiesTooLarge {
                bytes: MAX_PROPERTIES_BYTES + 8,
                largest: "n".into()
            })
        );
        let room = MAX_BATCH_BYTES - FRAME_BYTES - ID_PROPERTY_BYTES;
        assert_eq!(Outgoing::new(vec![0; room]).check(), Ok(()));
        assert_eq!(
            Outgoing::new(vec![0; room + 1]).check(),
            Err(MessageFault::TooLarge {
                bytes: MAX_BATCH_BYTES + 1
            })
        );
    }
}
