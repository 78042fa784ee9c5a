//! Source and sink in one component, which may be only one of them.

use connect_sdk::{
    Batch, Connector, Description, Next, Records, Rejected, Result, Settings, Sink, SinkContext,
    Source, SourceContext,
};

struct Both;

impl Connector for Both {
    fn describe() -> Description {
        Description::new("two-roles", env!("CARGO_PKG_VERSION"), "Is too much.")
    }
}

impl Source for Both {
    fn open(_: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self)
    }

    fn poll(&mut self, _: &mut Batch) -> Result<Next> {
        Ok(Next::Now)
    }
}

impl Sink for Both {
    fn open(_: &Settings, _: SinkContext) -> Result<Self> {
        Ok(Self)
    }

    fn put(&mut self, _: &Records<'_>) -> Result<Vec<Rejected>> {
        Ok(Vec::new())
    }
}

connect_sdk::register!(source: Both);

#[allow(unsafe_code, reason = "a component exports raw functions")]
const _: () = {
    struct Registered;

    impl connect_sdk::__private::Slot for Registered {
        type Plugin = Both;
        type Task = connect_sdk::__private::SinkTask<Both>;

        fn with<R>(act: impl FnOnce(&mut Self::Task) -> R) -> R {
            act(&mut connect_sdk::__private::SinkTask::new())
        }
    }

    type Exports = connect_sdk::__private::Exports<Registered>;
    connect_sdk::__private::bindings::sink::export!(
        Exports with_types_in connect_sdk::__private::bindings::sink
    );
};
