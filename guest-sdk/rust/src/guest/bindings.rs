//! Generated from the WIT: the types and imports in `common`, then one module per exported interface,
//! so that a plugin exports `connector` and its role and nothing else. No code of our own.
//!
//! The worlds are cut smaller than those of the WIT because an interface that several worlds export
//! would be generated, and its macro defined, several times. A component is made of the interfaces
//! it imports and exports; by which worlds they were written down leaves no trace in it.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::restriction,
    clippy::pedantic,
    reason = "generated code; the canonical ABI is raw memory"
)]

/// What every role may import.
pub mod common {
    wit_bindgen::generate!({
        path: "../../wit/connect/v0.1",
        inline: "
            package rocketmq:connect-sdk;
            world common {
                import rocketmq:connect/records@0.1.0;
                import rocketmq:connect/log@0.1.0;
                import rocketmq:connect/source-context@0.1.0;
                import rocketmq:connect/sink-context@0.1.0;
            }
        ",
        world: "rocketmq:connect-sdk/common",
        generate_all,
        pub_export_macro: true,
    });
}

/// A module with what one interface needs to be exported; its types are those of `common`.
macro_rules! exported {
    ($(#[$doc:meta])+ $name:ident, $world:literal) => {
        $(#[$doc])+
        pub mod $name {
            wit_bindgen::generate!({
                path: "../../wit/connect/v0.1",
                inline: "
                    package rocketmq:connect-sdk;
                    world connector-part { export rocketmq:connect/connector@0.1.0; }
                    world source-part { export rocketmq:connect/source@0.1.0; }
                    world sink-part { export rocketmq:connect/sink@0.1.0; }
                    world transform-part { export rocketmq:connect/transform@0.1.0; }
                ",
                world: $world,
                with: {
                    "rocketmq:connect/records@0.1.0": super::common::rocketmq::connect::records,
                },
                generate_all,
                pub_export_macro: true,
            });
        }
    };
}

exported!(
    /// What every role exports.
    connector,
    "rocketmq:connect-sdk/connector-part"
);
exported!(
    /// What a source exports.
    source,
    "rocketmq:connect-sdk/source-part"
);
exported!(
    /// What a sink exports.
    sink,
    "rocketmq:connect-sdk/sink-part"
);
exported!(
    /// What a transform exports.
    transform,
    "rocketmq:connect-sdk/transform-part"
);
