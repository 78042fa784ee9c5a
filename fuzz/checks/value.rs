//! Structured values of a hostile plugin. Must write and read back every value that is accepted.

use connect_record::Value;

pub(crate) fn check(bytes: &[u8]) {
    let Ok(value) = Value::decode(bytes) else {
        return;
    };
    // Compared as bytes: a value that holds NaN is not equal to itself.
    let written = value.encode();
    let again = Value::decode(&written).expect("what was written can be read");
    assert_eq!(again.encode(), written);
}
