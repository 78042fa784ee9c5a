//! Message bodies of whoever writes to the topic, through the JSON converter. Must be refused or
//! become a value that is written and read back the same, with schemas and without.

use std::collections::BTreeMap;

use bytes::Bytes;
use connect_convert::converter;

/// The first byte says whether there are schemas, the others are a body.
pub(crate) fn check(bytes: &[u8]) {
    let Some((first, body)) = bytes.split_first() else {
        return;
    };
    let schemas = first & 1 == 1;
    let settings = BTreeMap::from([("schemas.enable".to_owned(), schemas.to_string())]);
    let json = converter("json", &settings, false).expect("a known converter and setting");
    let Ok(first) = json.decode(Some(&Bytes::copy_from_slice(body))) else {
        return;
    };
    // A value may have come in a form that is not written (a decimal of too many places): an error.
    let Ok(written) = json.encode(first.schema.as_ref(), first.value.as_ref()) else {
        return;
    };
    let second = json
        .decode(written.as_ref())
        .expect("what was written can be read");
    let again = json
        .encode(second.schema.as_ref(), second.value.as_ref())
        .expect("what was read of our own can be written");
    assert_eq!(again, written);
}
