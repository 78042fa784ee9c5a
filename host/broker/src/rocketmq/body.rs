//! Bodies that other producers have compressed. A few bytes can stand for gigabytes, so each has a bound;
//! what is beyond is an error, never cut short.

use std::io::Read;

use bytes::{Buf, Bytes};
use rocketmq_model::common::compression::compression_type::CompressionType;
use rocketmq_model::common::sys_flag::message_sys_flag::MessageSysFlag;
use rocketmq_protocol::common::compression::compressor_factory::CompressorFactory;

/// Most bytes of one body. Brokers take 4 MiB as they are shipped, before compression as after it.
const MOST: usize = 64 * 1024 * 1024;
/// How an LZ4 frame begins.
const LZ4_FRAME: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

/// A body as its producer made it.
///
/// # Errors
/// Says what is wrong with it.
pub(super) fn whole(stored: Bytes, flags: i32) -> Result<Bytes, String> {
    if !MessageSysFlag::check(flags, MessageSysFlag::COMPRESSED_FLAG) || stored.is_empty() {
        return Ok(stored);
    }
    let kind = MessageSysFlag::try_get_compression_type(flags)
        .map_err(|error| format!("its compression is unknown: {error}"))?;
    expand(kind, &stored, MOST)
}

fn expand(kind: CompressionType, stored: &[u8], most: usize) -> Result<Bytes, String> {
    let broken =
        |error: &dyn std::fmt::Display| format!("its body cannot be decompressed: {error}");
    let too_much = || format!("its body is compressed and comes to more than {most} bytes");
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
            let size = usize::try_from(head.try_get_u32_le().unwrap_or_default());
            let Some(size) = size.ok().filter(|size| *size <= most) else {
                return Err(too_much());
            };
            let lz4 = CompressorFactory::get_compressor(kind);
            let body = lz4.decompress(stored).map_err(|error| broken(&error))?;
            if body.len() != size {
                return Err(format!(
                    "its body is {} bytes and says it is {size}",
                    body.len()
                ));
            }
            Ok(Some(body))
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
    body.shrink_to_fit();
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
        for kind in [CompressionType::Zlib, CompressionType::Zstd] {
            for stored in [&b"no such thing"[..], b""] {
                let error = expand(kind, stored, MOST).unwrap_err();
                assert!(error.contains("cannot be decompressed"), "{error}");
            }
        }
        // four gigabytes, it says
        let boast = [0xff, 0xff, 0xff, 0xff, 0];
        let error = expand(CompressionType::LZ4, &boast, MOST).unwrap_err();
        assert!(error.contains("more than"), "{error}");
        // nine literals of which there are two
        let broken = [9, 0, 0, 0, 0x90, b'a', b'b'];
        let error = expand(CompressionType::LZ4, &broken, MOST).unwrap_err();
        assert!(error.contains("cannot be decompressed"), "{error}");
        // ends early, in good order
        let short = [9, 0, 0, 0, 0x20, b'a', b'b'];
        let error = expand(CompressionType::LZ4, &short, MOST).unwrap_err();
        assert!(error.contains("2 bytes and says it is 9"), "{error}");
        let frame = expand(CompressionType::LZ4, &LZ4_FRAME, MOST).unwrap_err();
        assert!(frame.contains("LZ4 frame"), "{frame}");
    }

    #[test]
    fn what_is_not_marked_stays_as_it_is() {
        let zlib = packed(CompressionType::Zlib, &[0; 1_000]);
        let flags = MessageSysFlag::COMPRESSED_FLAG;
        assert_eq!(whole(zlib.clone(), flags).unwrap().len(), 1_000);
        assert_eq!(whole(zlib.clone(), 0).unwrap(), zlib);
    }
}
