//! Bodies that other producers have compressed. A few bytes can stand for gigabytes, so each has a bound;
//! what is beyond is an error, never cut short.

use std::io::Read;

use bytes::{Buf, Bytes};
use rocketmq_model::common::compression::compression_type::CompressionType;
use rocketmq_model::common::sys_flag::message_sys_flag::MessageSysFlag;

/// Most bytes of one body. Brokers take 4 MiB as they are shipped, before compression as after it.
const MOST: usize = 64 * 1024 * 1024;
/// How an LZ4 frame begins.
const LZ4_FRAME: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// How its blocks end.
const LZ4_END: [u8; 4] = [0; 4];

/// Bytes that reading a body may make at most, whatever comes of it.
pub(super) fn most(flags: i32) -> usize {
    if MessageSysFlag::check(flags, MessageSysFlag::COMPRESSED_FLAG) {
        MOST
    } else {
        0
    }
}

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
        CompressionType::LZ4 if stored.starts_with(&LZ4_FRAME) => lz4_frame(stored, most),
        CompressionType::LZ4 => {
            // the size stands in front, and the library believes it
            let mut block = stored;
            let size = usize::try_from(block.try_get_u32_le().unwrap_or_default());
            let Some(size) = size.ok().filter(|size| *size <= most) else {
                return Err(too_much());
            };
            let body = lz4_flex::block::decompress(block, size).map_err(|error| broken(&error))?;
            if body.len() != size {
                return Err(format!(
                    "its body is {} bytes and says it is {size}",
                    body.len()
                ));
            }
            return Ok(body.into());
        }
    }
    .map_err(|error| broken(&error))?
    .ok_or_else(too_much)
}

/// An LZ4 frame, as producers in Java write it. The library takes one that ends after any block for whole:
/// only one that needs no end put behind it is.
fn lz4_frame(stored: &[u8], most: usize) -> std::io::Result<Option<Bytes>> {
    let mut end = &LZ4_END[..];
    let mut rest = Read::chain(stored, &mut end);
    let body = bounded(lz4_flex::frame::FrameDecoder::new(&mut rest), most)?;
    let (rest, _) = rest.into_inner();
    if body.is_some() && !(rest.is_empty() && end.len() == LZ4_END.len()) {
        return Err(std::io::Error::other(
            "the frame and the body do not end together",
        ));
    }
    Ok(body)
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
    use std::io::Write;

    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use rocketmq_protocol::common::compression::compressor_factory::CompressorFactory;

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
    }

    /// Independent blocks, no checksums, an end: what the Java library writes unless told otherwise.
    fn frame(whole: &[u8], info: FrameInfo) -> Vec<u8> {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(whole).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn lz4_frames_come_out_whole_or_not_at_all() {
        let whole: Vec<u8> = (0..140_000_u32).map(|n| (n / 900) as u8).collect();
        let plain = || FrameInfo::new().block_size(BlockSize::Max64KB);
        for info in [
            plain(),
            plain().block_mode(BlockMode::Linked),
            plain().block_checksums(true).content_checksum(true),
        ] {
            let frame = frame(&whole, info);
            let read = |stored: &[u8], most| expand(CompressionType::LZ4, stored, most);
            assert!(read(&frame, whole.len()).unwrap() == whole);
            let error = read(&frame, whole.len() - 1).unwrap_err();
            assert!(error.contains("more than 139999 bytes"), "{error}");
            // also between two blocks
            for end in LZ4_FRAME.len()..frame.len() {
                let error = read(&frame[..end], MOST).unwrap_err();
                assert!(error.contains("cannot be decompressed"), "{end}: {error}");
            }
            let error = read(&[&frame[..], b"x"].concat(), MOST).unwrap_err();
            assert!(error.contains("do not end together"), "{error}");
        }
    }

    #[test]
    fn what_is_not_marked_stays_as_it_is() {
        let zlib = packed(CompressionType::Zlib, &[0; 1_000]);
        let flags = MessageSysFlag::COMPRESSED_FLAG;
        assert_eq!(whole(zlib.clone(), flags).unwrap().len(), 1_000);
        assert_eq!(whole(zlib.clone(), 0).unwrap(), zlib);
    }
}
