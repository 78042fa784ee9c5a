//! Writing to a file in pieces as large as a guest has them. The original takes 64 KiB at a time and
//! goes to another thread for each; what is written and how is its own.

use bytes::Bytes;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamResult};

/// Most bytes of one write.
const MOST: usize = 1024 * 1024;

/// The original with more room.
pub(super) struct FileWriter(DynOutputStream);

impl FileWriter {
    pub(super) fn new(original: DynOutputStream) -> Self {
        Self(original)
    }
}

#[async_trait]
impl OutputStream for FileWriter {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.0.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let room = self.0.check_write()?;
        Ok(if room == 0 { 0 } else { MOST })
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.blocking_write_and_flush(bytes).await
    }

    async fn cancel(&mut self) {
        self.0.cancel().await;
    }
}

#[async_trait]
impl Pollable for FileWriter {
    async fn ready(&mut self) {
        self.0.ready().await;
    }
}
