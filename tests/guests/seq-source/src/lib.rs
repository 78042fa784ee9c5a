//! Emits numbered records. (draft)
use connect_sdk::{Batch, Connector, Description, Next, Result, Settings, Source, SourceContext};
struct Seq { next: u64 }
impl Connector for Seq { fn describe() -> Description { Description::new("seq-source", "0.1.0", "") } }
impl Source for Seq {
    fn open(_: &Settings, _: SourceContext) -> Result<Self> { Ok(Self { next: 0 }) }
    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        while !batch.is_full() { self.next += 1; batch.add().value(self.next.to_string().as_bytes()).finish()?; }
        Ok(Next::Now)
    }
}
connect_sdk::register!(source: Seq);
