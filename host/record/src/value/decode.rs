//! CBOR to value. Must be total and bounded: the bytes come from plugins, and lengths in them are only claims.

use bytes::Bytes;

use super::Value;

/// A container may claim more items than it has; room is made for no more than this before they are seen.
const ROOM: usize = 64;

/// Why bytes are not a value. `at` counts bytes from the start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The bytes end inside the value.
    #[error("the value ends too early, at byte {at}")]
    Truncated {
        /// Where more was expected.
        at: usize,
    },
    /// The bytes go on after the value.
    #[error("{extra} bytes follow the value, which ends at byte {at}")]
    Trailing {
        /// Where the value ends.
        at: usize,
        /// Bytes after it.
        extra: usize,
    },
    /// The value nests too deeply.
    #[error("the value nests deeper than {limit} at byte {at}")]
    TooDeep {
        /// Where.
        at: usize,
        /// [`Value::MAX_DEPTH`].
        limit: usize,
    },
    /// The value holds too many values.
    #[error("the value holds more than {limit} values at byte {at}")]
    TooMany {
        /// Where.
        at: usize,
        /// [`Value::MAX_ITEMS`].
        limit: usize,
    },
    /// An integer that 64 bits with a sign cannot hold.
    #[error("the integer at byte {at} does not fit into 64 bits")]
    Integer {
        /// Where.
        at: usize,
    },
    /// Text that is not UTF-8.
    #[error("the text at byte {at} is not UTF-8")]
    Text {
        /// Where the text begins.
        at: usize,
    },
    /// A byte that begins nothing, or nothing that is allowed here.
    #[error("byte {at} is {byte:#04x}, which cannot stand there")]
    Byte {
        /// Where.
        at: usize,
        /// What it is.
        byte: u8,
    },
}

pub(super) fn decode(bytes: &[u8]) -> Result<Value, ValueError> {
    let mut reader = Reader {
        bytes,
        at: 0,
        items: 0,
    };
    let value = reader.value(0)?;
    match bytes.len() - reader.at {
        0 => Ok(value),
        extra => Err(ValueError::Trailing {
            at: reader.at,
            extra,
        }),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// Never beyond the end of `bytes`.
    at: usize,
    items: usize,
}

/// How long a string or container is: so many bytes or items, or up to a mark.
#[derive(Clone, Copy)]
enum Length {
    Known(u64),
    UpToMark,
}

/// The byte that ends what has no length in front.
const MARK: u8 = 0xff;

impl<'a> Reader<'a> {
    /// One value that has `depth` values around it.
    fn value(&mut self, depth: usize) -> Result<Value, ValueError> {
        let start = self.at;
        self.items += 1;
        if self.items > Value::MAX_ITEMS {
            return Err(ValueError::TooMany {
                at: start,
                limit: Value::MAX_ITEMS,
            });
        }
        let first = self.byte()?;
        let info = first & 0x1f;
        match first >> 5 {
            0 => Ok(Value::Int(self.integer(start, first)?)),
            1 => Ok(Value::Int(!self.integer(start, first)?)),
            2 => match self.length(start, first)? {
                Length::Known(length) => {
                    Ok(Value::Bytes(Bytes::copy_from_slice(self.take(length)?)))
                }
                Length::UpToMark => self
                    .chunks(2, |_, _| Ok(()))
                    .map(|bytes| Value::Bytes(bytes.into())),
            },
            3 => self.text(start, first),
            4 => {
                self.nest(start, depth)?;
                let length = self.length(start, first)?;
                let mut items = Vec::with_capacity(self.room(length));
                while self.more(length, items.len())? {
                    items.push(self.value(depth + 1)?);
                }
                Ok(Value::Array(items))
            }
            5 => {
                self.nest(start, depth)?;
                let length = self.length(start, first)?;
                let mut pairs = Vec::with_capacity(self.room(length));
                while self.more(length, pairs.len())? {
                    pairs.push((self.value(depth + 1)?, self.value(depth + 1)?));
                }
                Ok(Value::Map(pairs))
            }
            6 => {
                self.nest(start, depth)?;
                let tag = self.number(start, first)?;
                Ok(Value::Tag(tag, Box::new(self.value(depth + 1)?)))
            }
            _ => match info {
                20 => Ok(Value::Bool(false)),
                21 => Ok(Value::Bool(true)),
                22 | 23 => Ok(Value::Null),
                25 => Ok(Value::Float(half(u16::from_be_bytes(self.array()?)))),
                26 => Ok(Value::Float(f32::from_be_bytes(self.array()?).into())),
                27 => Ok(Value::Float(f64::from_be_bytes(self.array()?))),
                _ => Err(ValueError::Byte {
                    at: start,
                    byte: first,
                }),
            },
        }
    }

    fn text(&mut self, start: usize, first: u8) -> Result<Value, ValueError> {
        // Each piece has to be text by itself: a character is never split between two.
        let utf8 = |at: usize, bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(_) => Ok(()),
            Err(_) => Err(ValueError::Text { at }),
        };
        let bytes = match self.length(start, first)? {
            Length::Known(length) => self.take(length)?.to_vec(),
            Length::UpToMark => self.chunks(3, utf8)?,
        };
        String::from_utf8(bytes)
            .map(Value::Text)
            .map_err(|_| ValueError::Text { at: start })
    }

    /// The pieces of a string up to the mark, each of kind `major` and with its length in front.
    fn chunks(
        &mut self,
        major: u8,
        check: impl Fn(usize, &[u8]) -> Result<(), ValueError>,
    ) -> Result<Vec<u8>, ValueError> {
        let mut all = Vec::new();
        loop {
            let start = self.at;
            let first = self.byte()?;
            if first == MARK {
                return Ok(all);
            }
            if first >> 5 != major {
                return Err(ValueError::Byte {
                    at: start,
                    byte: first,
                });
            }
            let length = self.number(start, first)?;
            let chunk = self.take(length)?;
            check(start, chunk)?;
            all.extend_from_slice(chunk);
        }
    }

    fn nest(&self, at: usize, depth: usize) -> Result<(), ValueError> {
        if depth < Value::MAX_DEPTH {
            Ok(())
        } else {
            Err(ValueError::TooDeep {
                at,
                limit: Value::MAX_DEPTH,
            })
        }
    }

    fn integer(&mut self, at: usize, first: u8) -> Result<i64, ValueError> {
        i64::try_from(self.number(at, first)?).map_err(|_| ValueError::Integer { at })
    }

    fn length(&mut self, at: usize, first: u8) -> Result<Length, ValueError> {
        if first & 0x1f == 31 {
            Ok(Length::UpToMark)
        } else {
            self.number(at, first).map(Length::Known)
        }
    }

    /// The number that belongs to the item whose first byte was just read.
    fn number(&mut self, at: usize, first: u8) -> Result<u64, ValueError> {
        match first & 0x1f {
            info @ 0..24 => Ok(info.into()),
            24 => Ok(self.byte()?.into()),
            25 => Ok(u16::from_be_bytes(self.array()?).into()),
            26 => Ok(u32::from_be_bytes(self.array()?).into()),
            27 => Ok(u64::from_be_bytes(self.array()?)),
            _ => Err(ValueError::Byte { at, byte: first }),
        }
    }

    /// Room to make for a container of this length.
    fn room(&self, length: Length) -> usize {
        match length {
            Length::Known(length) => usize::try_from(length).unwrap_or(ROOM).min(ROOM),
            Length::UpToMark => 0,
        }
    }

    /// Whether a container of this length goes on after `have` items; reads its mark if that comes next.
    fn more(&mut self, length: Length, have: usize) -> Result<bool, ValueError> {
        match length {
            Length::Known(length) => Ok((have as u64) < length),
            Length::UpToMark => match self.bytes.get(self.at) {
                None => Err(ValueError::Truncated { at: self.at }),
                Some(&MARK) => {
                    self.at += 1;
                    Ok(false)
                }
                Some(_) => Ok(true),
            },
        }
    }

    fn byte(&mut self) -> Result<u8, ValueError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ValueError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(array) = rest.first_chunk::<N>() else {
            return Err(ValueError::Truncated {
                at: self.bytes.len(),
            });
        };
        self.at += N;
        Ok(*array)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], ValueError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(bytes) = rest.get(..length) else {
            return Err(ValueError::Truncated {
                at: self.bytes.len(),
            });
        };
        self.at += length;
        Ok(bytes)
    }
}

/// A floating point number of 16 bits.
fn half(bits: u16) -> f64 {
    let negative = bits & 0x8000 != 0;
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    let number = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (fraction + 1024.0) * 2f64.powi(exponent - 25),
    };
    if negative { -number } else { number }
}
