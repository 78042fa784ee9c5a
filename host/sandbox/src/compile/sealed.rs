//! What a compiling child hands back: the key of its engine, the digest of the code, the code. It
//! tells code that was cut off, or that another build of the program made, from code that fits.

use sha2::{Digest, Sha256};

/// Length of the digest.
const DIGEST: usize = 32;

/// What goes before `code`.
pub(super) fn header(key: &str, code: &[u8]) -> Vec<u8> {
    [key.as_bytes(), &Sha256::digest(code)].concat()
}

/// The code inside, when it is whole and of an engine with this key.
///
/// # Errors
/// In words, what is wrong with it.
pub(super) fn open<'a>(sealed: &'a [u8], key: &str) -> Result<&'a [u8], &'static str> {
    const CUT: &str = "what the compiler brought is not whole";
    let (made_by, rest) = sealed.split_at_checked(key.len()).ok_or(CUT)?;
    let (digest, code) = rest.split_at_checked(DIGEST).ok_or(CUT)?;
    if made_by != key.as_bytes() {
        return Err(
            "the compiler is another build than this worker; if the program has been replaced, start it again",
        );
    }
    if Sha256::digest(code).as_slice() != digest {
        return Err(CUT);
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_code_of_the_same_engine_comes_out() {
        let sealed = [header("key", b"code"), b"code".to_vec()].concat();
        assert_eq!(open(&sealed, "key"), Ok(&b"code"[..]));
        assert!(open(&sealed, "kez").unwrap_err().contains("another build"));
        for end in 0..sealed.len() {
            assert!(open(&sealed[..end], "key").is_err(), "{end}");
        }
        for position in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[position] ^= 1;
            assert!(open(&damaged, "key").is_err(), "{position}");
        }
    }
}
