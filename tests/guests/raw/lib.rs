//! What the lying sources have in common: one poll that hands over a batch as it is, spoiled or not.
//! The SDK's own batches cannot be wrong, so these are taken apart first.

pub use connect_rows::{Builder, ENTRY_SIZE, Parts};
pub use connect_sdk::__private::Polled;
pub use connect_sdk::__private::bindings;
use connect_sdk::{
    Batch, Connector, Description, Next, OptionSpec, Result, Settings, Source, SourceContext,
};

/// A good batch of three records with a key, a value, a header, schemas and positions.
pub fn good() -> Parts {
    let mut builder = Builder::new();
    for number in 0..3 {
        let text = number.to_string();
        let record = builder
            .add()
            .partition("p")
            .key(b"key")
            .value(text.as_bytes())
            .header("name", b"header");
        let record = record
            .value_schema(r#"{"type":"string"}"#)
            .position(text.as_bytes());
        record.finish().expect("three records fit");
    }
    builder.finish()
}

/// Writes `bytes` at `at` of the entry number `entry`.
pub fn spoil(parts: &mut Parts, entry: usize, at: usize, bytes: &[u8]) {
    let start = entry * ENTRY_SIZE + at;
    parts.entries[start..start + bytes.len()].copy_from_slice(bytes);
}

/// A source that answers every poll with the batch that its function makes of `what`.
pub trait Liar: 'static {
    /// Name of the plugin.
    const NAME: &'static str;

    /// The batch.
    fn batch(what: &str) -> Parts;
}

/// Gives a liar the parts of a connector that are true.
pub struct Honest<L>(std::marker::PhantomData<L>);

impl<L: Liar> Connector for Honest<L> {
    fn describe() -> Description {
        Description::new(
            L::NAME,
            env!("CARGO_PKG_VERSION"),
            "Hands over what must be refused.",
        )
        .option(OptionSpec::text("what").default("").doc("which lie"))
    }
}

impl<L: Liar> Source for Honest<L> {
    fn open(settings: &Settings, _: SourceContext) -> Result<Self> {
        WHAT.with_borrow_mut(|what| settings.text("what").map(|text| text.clone_into(what)))?;
        Ok(Self(std::marker::PhantomData))
    }

    fn poll(&mut self, _: &mut Batch) -> Result<Next> {
        Ok(Next::Now)
    }
}

thread_local! {
    static WHAT: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
}

/// What the liar was told when it was opened.
pub fn what() -> String {
    WHAT.with_borrow(String::clone)
}

/// Makes a plugin of a [`Liar`].
#[macro_export]
macro_rules! register {
    ($liar:ty) => {
        #[allow(unsafe_code, reason = "a component exports raw functions")]
        const _: () = {
            use $crate::bindings::{common::rocketmq::connect::records, connector, source};
            struct Slot;
            impl $crate::Slot for Slot {
                type Plugin = $crate::Honest<$liar>;
                type Task = $crate::SourceTask<$crate::Honest<$liar>>;
                fn with<R>(act: impl FnOnce(&mut Self::Task) -> R) -> R {
                    act(&mut $crate::SourceTask::new())
                }
            }
            type Exports = $crate::Exports<Slot>;
    connector::export!(Exports with_types_in $crate::bindings::connector);

            struct Raw;
            impl source::exports::rocketmq::connect::source::Guest for Raw {
                fn open(settings: Vec<records::Setting>) -> Result<(), records::Failure> {
                    <Exports as source::exports::rocketmq::connect::source::Guest>::open(settings)
                }
                fn poll(
                    _: u32,
                    _: u32,
                    _: u32,
                ) -> Result<source::exports::rocketmq::connect::source::Polled, records::Failure>
                {
                    Ok(source::exports::rocketmq::connect::source::Polled {
                        batch: <$liar as $crate::Liar>::batch(&$crate::what()).into(),
                        points: Vec::new(),
                        forget: Vec::new(),
                        wait_ms: 0,
                    })
                }
                fn committed(_: Vec<records::ResumePoint>) -> Result<(), records::Failure> {
                    Ok(())
                }
                fn close() -> Result<(), records::Failure> {
                    Ok(())
                }
            }
    source::export!(Raw with_types_in $crate::bindings::source);
        };
    };
}

pub use connect_sdk::__private::{Exports, Slot, SourceTask};
