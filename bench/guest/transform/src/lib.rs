//! A transform that writes one header of each record anew, in place. Stands on the bindings alone, without the SDK;
//! must move every vector that crosses, and copy none.
#![allow(
    unsafe_code,
    reason = "generated code: the canonical ABI is raw memory"
)]

use connect_rows::Parts;

wit_bindgen::generate!({ path: "../../../wit/connect/v0.1", world: "transform-plugin" });

use exports::rocketmq::connect::connector::{
    Description, Guest as Connector, Need, OptionSpec, Plan,
};
use exports::rocketmq::connect::transform::{Applied, Guest as Transform};
use rocketmq::connect::records::{Batch, Failure, Problem, Setting};

struct Bench;

impl Connector for Bench {
    fn describe() -> Description {
        Description {
            name: "bench-transform".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            doc: "Changes batches to be measured.".into(),
            aliases: Vec::new(),
            options: Vec::<OptionSpec>::new(),
            position_format: 0,
            attributes: Vec::new(),
        }
    }

    fn needs(_: Vec<Setting>) -> Vec<Need> {
        Vec::new()
    }

    fn validate(_: Vec<Setting>) -> Vec<Problem> {
        Vec::new()
    }

    fn task_settings(settings: Vec<Setting>, _: u32) -> Result<Plan, Failure> {
        Ok(Plan {
            tasks: vec![settings],
            recheck_ms: 0,
        })
    }
}

impl Transform for Bench {
    fn open(_: Vec<Setting>) -> Result<(), Failure> {
        Ok(())
    }

    fn apply(batch: Batch) -> Result<Applied, Failure> {
        let parts = Parts {
            topics: batch.topics,
            partitions: batch.partitions,
            schemas: batch.schemas,
            names: batch.names,
            entry_size: batch.entry_size,
            header_size: batch.header_size,
            entries: batch.entries,
            headers: batch.headers,
            arena: batch.arena,
        };
        let parts = connect_bench_shared::rewrite(parts)
            .map_err(|error| Failure::Fatal(error.to_string()))?;
        let batch = Batch {
            topics: parts.topics,
            partitions: parts.partitions,
            schemas: parts.schemas,
            names: parts.names,
            entry_size: parts.entry_size,
            header_size: parts.header_size,
            entries: parts.entries,
            headers: parts.headers,
            arena: parts.arena,
        };
        Ok(Applied {
            batch,
            rejected: Vec::new(),
        })
    }

    fn close() -> Result<(), Failure> {
        Ok(())
    }
}

export!(Bench);
