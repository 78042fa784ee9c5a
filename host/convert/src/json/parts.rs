//! JSON objects and arrays taken apart, one level at a time, into pieces of text.
//!
//! The pieces keep every digit of a number. Expects text that serde_json has accepted as one value.
//! Must never recurse, nor copy a piece.

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::scan;
use crate::error::Fault;

/// The members of an object; of two with the same name the last.
pub(super) fn members(text: &str) -> Result<HashMap<String, &RawValue>, Fault> {
    let mut members = HashMap::new();
    // the pieces live as long as the text: they are parts of it
    walk(text, true, &mut |key, value| {
        members.insert(key.unwrap_or_default(), value);
        Ok(())
    })?;
    Ok(members)
}

/// Hands over the members of an object, in order.
pub(super) fn each_member(
    text: &str,
    mut take: impl FnMut(String, &RawValue) -> Result<(), Fault>,
) -> Result<(), Fault> {
    walk(text, true, &mut |key, value| {
        take(key.unwrap_or_default(), value)
    })
}

/// Hands over the items of an array, in order.
pub(super) fn each_item(
    text: &str,
    mut take: impl FnMut(&RawValue) -> Result<(), Fault>,
) -> Result<(), Fault> {
    walk(text, false, &mut |_, value| take(value))
}

type Take<'t, 'de> = &'t mut dyn FnMut(Option<String>, &'de RawValue) -> Result<(), Fault>;

/// Hands over the parts of an object (with their names) or of an array.
fn walk<'de>(text: &'de str, object: bool, take: Take<'_, 'de>) -> Result<(), Fault> {
    let (expected, open) = if object {
        ("an object", '{')
    } else {
        ("an array", '[')
    };
    if !text.starts_with(open) {
        return Err(Fault::new(expected, scan::kind_of(text)));
    }
    let mut fault = None;
    let parts = Parts {
        object,
        take,
        fault: &mut fault,
    };
    let result = parts.deserialize(&mut serde_json::Deserializer::from_str(text));
    match (fault, result) {
        (Some(fault), _) => Err(fault),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => Err(Fault::new(expected, error.to_string())),
    }
}

struct Parts<'t, 'de> {
    object: bool,
    take: Take<'t, 'de>,
    fault: &'t mut Option<Fault>,
}

impl<'de> Parts<'_, 'de> {
    fn hand_over<E: serde::de::Error>(
        &mut self,
        key: Option<String>,
        value: &'de RawValue,
    ) -> Result<(), E> {
        (self.take)(key, value).map_err(|fault| {
            *self.fault = Some(fault);
            E::custom("stopped")
        })
    }
}

impl<'de> DeserializeSeed<'de> for Parts<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.object {
            deserializer.deserialize_map(self)
        } else {
            deserializer.deserialize_seq(self)
        }
    }
}

impl<'de> Visitor<'de> for Parts<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.object { "an object" } else { "an array" })
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
            self.hand_over::<A::Error>(Some(key), value)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(value) = seq.next_element::<&'de RawValue>()? {
            self.hand_over::<A::Error>(None, value)?;
        }
        Ok(())
    }
}
