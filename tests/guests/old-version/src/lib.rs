//! A source of a version of the contract that there never was: `rocketmq:connect@0.0.9`.
#![allow(unsafe_code, reason = "generated code")]

wit_bindgen::generate!({
    inline: r#"
        package rocketmq:connect@0.0.9;
        interface source { poll: func() -> list<u8>; }
        world source-plugin { export source; }
    "#,
    generate_all,
});

struct Guest;

impl exports::rocketmq::connect::source::Guest for Guest {
    fn poll() -> Vec<u8> {
        Vec::new()
    }
}

export!(Guest);
