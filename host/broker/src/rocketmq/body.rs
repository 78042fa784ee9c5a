//! Bodies that other producers have compressed. A few bytes can stand for gigabytes, so each has a bound,
//! and so have all of one pull together; what is beyond is an error, never cut short.

use std::io::Read;

use bytes::{Buf, Bytes};
use rocketmq_model::common::compression::compression_type::CompressionType;
use rocketmq_model::common::sys_flag::message_sys_flag::MessageSysFlag;
use rocketmq_protocol::common::compression::compressor_factory::CompressorFactory;

/// Most bytes of one body. Brokers take 4 MiB as they are shipped, before compression as after it.
const MOST: usize = 64 * 1024 * 1024;
/// Most bytes that the compressed bodies of one pull come to.
const MOST_OF_A_PULL: usize = 256 * 1024 * 1024;
/// How an LZ4 frame begins.
const LZ4_FRAME: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

/// Makes the bodies of one pull whole.
pub(super) struct Bodies {
    left: usize,
}

impl Bodies {
    pub(super) fn of_a_pull() -> Self {
        Self {
            left: MOST_OF_A_PULL,
        }
    }

    /// # Errors
    /// Says what is wrong with the body.
    pub(super) fn whole(&mut self, stored: Bytes, flags: i32) -> Result<Bytes, String> {
        if !MessageSysFlag::check(flags, MessageSysFlag::COMPRESSED_FLAG) || stored.is_empty() {
            return Ok(stored);
        }
        let kind = MessageSysFlag::try_get_compression_type(flags)
            .map_err(|error| format!("its compression is unknown: {error}"))?;
        let body = expand(kind, &stored, MOST.min(self.left))?;
        self.left = self.left.saturating_sub(body.len());
        Ok(body)
    }
}

fn expand(kind: CompressionType, stored: &[u8], most: usize) -> Result<Bytes, String> {
    let broken =
        |error: &dyn std::fmt::Display| format!("its body cannot be decompressed: {error}");
    let too_much = || {
        format!(
            "its body is compressed and comes to more than {most} bytes, here or with the others of the \
             pull; a smaller `pull-messages` makes pulls smaller"
        )
    };
    match kind {
        CompressionType::Zlib => bounded(flate2::read::ZlibDecoder::new(stored), most),
        CompressionType::Zstd => {
            let decoder = zstd::stream::read::Decoder::new(stored);
            bounded(decoder.map_err(|error| broken(&error))?, most)
        }
        CompressionType::LZ4 => {
            if stored.starts_with(&LZ4_FRAME) {
                return Err(
                    "its body is an LZ4 frame, which is not read here; have its producer use \
                            zlib or zstd"
                        .to_owned(),
                );
            }
            // the size stands in front, and the library believes it
            let mut head = stored;
            let size = head.try_get_u32_le().unwrap_or_default();
            if usize::try_from(size).is_ok_and(|size| size <= most) {
                let lz4 = CompressorFactory::get_compressor(kind);
                return lz4.decompress(stored).map_err(|error| broken(&error));
            }
            Ok(None)
        }
    }
    .map_err(|error| broken(&error))?
    .ok_or_else(too_much)
}

/// All that `from` has; none when that is more than `most`.
fn bounded(from: impl Read, most: usize) -> std::io::Result<Option<Bytes>> {
    let mut body = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    from.take(limit).read_to_end(&mut body)?;
    Ok((body.len() <= most).then(|| body.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [CompressionType; 3] = [
        CompressionType::Zlib,
        CompressionType::Zstd,
        CompressionType::LZ4,
    ];

    fn packed(kind: CompressionType, whole: &[u8]) -> Bytes {
        let compressor = CompressorFactory::get_compressor(kind);
        compressor.compress(whole, 3).unwrap()
    }

    #[test]
    fn bodies_come_out_whole_up_to_their_bound() {
        let whole = vec![b'x'; 100_000];
        for kind in KINDS {
            let packed = packed(kind, &whole);
            assert!(packed.len() < 1_000);
            assert!(expand(kind, &packed, whole.len()).unwrap() == whole);
            let error = expand(kind, &packed, whole.len() - 1).unwrap_err();
            assert!(error.contains("more than 99999 bytes"), "{error}");
        }
    }

    #[test]
    fn what_is_not_compressed_as_it_says_is_an_error() {
        for kind in KINDS {
            assert!(expand(kind, b"no such thing", MOST).is_err());
            assert!(expand(kind, b"", MOST).is_err());
        }
        // four gigabytes, it says
        let boast = [0xff, 0xff, 0xff, 0xff, 0];
        assert!(expand(CompressionType::LZ4, &boast, MOST).is_err());
        let frame = expand(CompressionType::LZ4, &LZ4_FRAME, MOST).unwrap_err();
        assert!(frame.contains("LZ4 frame"), "{frame}");
    }

    #[test]
    fn all_of_a_pull_have_a_bound_together() {
        let zlib = packed(CompressionType::Zlib, &[0; 1_000]);
        let mut bodies = Bodies { left: 2_500 };
        let flags = MessageSysFlag::COMPRESSED_FLAG;
        for _ in 0..2 {
            assert_eq!(bodies.whole(zlib.clone(), flags).unwrap().len(), 1_000);
        }
        assert!(bodies.whole(zlib.clone(), flags).is_err());
        assert_eq!(bodies.whole(zlib.clone(), 0).unwrap(), zlib);
    }
}
