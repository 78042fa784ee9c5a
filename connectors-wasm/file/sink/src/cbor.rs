//! Values that are neither text nor bytes, written as JSON. Reads CBOR as the worker writes it; what
//! is truncated, too deep or unknown is an error, never a panic.

use std::fmt::Write;

/// How deep arrays, maps and tags may be nested.
const DEPTH: u32 = 64;

/// Decimals: an array of the exponent of ten and the digits.
const DECIMAL: u64 = 4;

/// A value as text: JSON, but for a text or bytes alone, which are as they are.
pub(crate) fn text(value: &[u8]) -> Result<String, String> {
    let mut reader = Reader {
        rest: value,
        out: String::new(),
    };
    reader.value(DEPTH, true)?;
    match reader.rest {
        [] => Ok(reader.out),
        rest => Err(format!("the value has {} bytes too many", rest.len())),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    out: String,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8], String> {
        let split = usize::try_from(count)
            .ok()
            .and_then(|count| self.rest.split_at_checked(count));
        let (taken, rest) = split.ok_or("the value is truncated")?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self, count: u64) -> Result<u64, String> {
        Ok(self
            .take(count)?
            .iter()
            .fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) -> Result<(), String> {
        self.out.write_fmt(text).map_err(|error| error.to_string())
    }

    /// Writes one value; `alone` when it is the whole line.
    fn value(&mut self, depth: u32, alone: bool) -> Result<(), String> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(format!("the value is nested more than {DEPTH} deep"));
        };
        let first = self.number(1)?;
        let (major, low) = (first >> 5, first & 31);
        let argument = match low {
            0..24 => low,
            24..28 => self.number(1 << (low - 24))?,
            _ => return Err(format!("the value has the unknown item {first:#04x}")),
        };
        match major {
            0 => self.put(format_args!("{argument}")),
            1 => self.put(format_args!("{}", -1 - i128::from(argument))),
            2 => {
                let bytes = self.take(argument)?;
                if alone {
                    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
                    self.out.push_str(text);
                } else {
                    self.base64(bytes);
                }
                Ok(())
            }
            3 => {
                let text =
                    std::str::from_utf8(self.take(argument)?).map_err(|error| error.to_string())?;
                if alone {
                    self.out.push_str(text)
                } else {
                    self.quote(text)?
                }
                Ok(())
            }
            4 => self.items(argument, depth),
            5 => self.members(argument, depth),
            6 if argument == DECIMAL => self.decimal(),
            6 => self.value(depth, alone),
            _ => self.simple(low, argument),
        }
    }

    fn items(&mut self, count: u64, depth: u32) -> Result<(), String> {
        self.out.push('[');
        for at in 0..count {
            if at > 0 {
                self.out.push(',');
            }
            self.value(depth, false)?;
        }
        self.out.push(']');
        Ok(())
    }

    fn members(&mut self, count: u64, depth: u32) -> Result<(), String> {
        self.out.push('{');
        for at in 0..count {
            if at > 0 {
                self.out.push(',');
            }
            // A name is a text in JSON, whatever it was.
            let start = self.out.len();
            self.value(depth, false)?;
            if self.out.as_bytes().get(start) != Some(&b'"') {
                let name = self.out.split_off(start);
                self.quote(&name)?;
            }
            self.out.push(':');
            self.value(depth, false)?;
        }
        self.out.push('}');
        Ok(())
    }

    fn simple(&mut self, low: u64, argument: u64) -> Result<(), String> {
        let number = match (low, u32::try_from(argument)) {
            (20, _) => return self.put(format_args!("false")),
            (21, _) => return self.put(format_args!("true")),
            (22 | 23, _) => return self.put(format_args!("null")),
            (25, Ok(bits)) => half(bits),
            (26, Ok(bits)) => {
                return self.float(f64::from(f32::from_bits(bits)), Some(f32::from_bits(bits)));
            }
            (27, _) => f64::from_bits(argument),
            _ => return Err(format!("the value has the unknown simple item {argument}")),
        };
        self.float(number, None)
    }

    /// Shortest digits that read back as the same number of its own width.
    fn float(&mut self, number: f64, single: Option<f32>) -> Result<(), String> {
        match single {
            _ if !number.is_finite() => self.put(format_args!("null")),
            Some(single) => self.put(format_args!("{single:?}")),
            None => self.put(format_args!("{number:?}")),
        }
    }

    /// An exponent and an integer, as a plain number.
    fn decimal(&mut self) -> Result<(), String> {
        let malformed = || "the value has a malformed decimal".to_owned();
        if self.number(1)? != 0x82 {
            return Err(malformed());
        }
        let start = self.out.len();
        self.value(2, false)?;
        let exponent: i32 = self.out.split_off(start).parse().map_err(|_| malformed())?;
        let digits = match self.rest.first() {
            // A bignum: tag 2 or 3 and bytes. Longer ones than 16 bytes keep their exponent form.
            Some(0xc2 | 0xc3) => {
                let negative = self.number(1)? == 0xc3;
                let first = self.number(1)?;
                let length = if first == 0x58 {
                    self.number(1)?
                } else {
                    first.wrapping_sub(0x40)
                };
                let bytes = self.take(length)?;
                if bytes.len() > 15 {
                    return Err("the value has a decimal of more than 36 digits".to_owned());
                }
                let number = bytes
                    .iter()
                    .fold(0i128, |number, byte| (number << 8) | i128::from(*byte));
                if negative { -1 - number } else { number }
            }
            _ => {
                self.value(2, false)?;
                self.out.split_off(start).parse().map_err(|_| malformed())?
            }
        };
        self.plain(digits, exponent)
    }

    fn plain(&mut self, digits: i128, exponent: i32) -> Result<(), String> {
        if !(-200..=0).contains(&exponent) {
            return self.put(format_args!("{digits}e{exponent}"));
        }
        let places = exponent.unsigned_abs() as usize;
        let sign = if digits < 0 { "-" } else { "" };
        let text = format!("{:0>width$}", digits.unsigned_abs(), width = places + 1);
        let (whole, part) = text
            .split_at_checked(text.len() - places)
            .unwrap_or((&text, ""));
        let point = if places > 0 { "." } else { "" };
        self.put(format_args!("{sign}{whole}{point}{part}"))
    }

    fn quote(&mut self, text: &str) -> Result<(), String> {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => self.out.extend(['\\', c]),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                c if c < ' ' => self.put(format_args!("\\u{:04x}", u32::from(c)))?,
                c => self.out.push(c),
            }
        }
        self.out.push('"');
        Ok(())
    }

    fn base64(&mut self, bytes: &[u8]) {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        self.out.push('"');
        for chunk in bytes.chunks(3) {
            let bits = chunk
                .iter()
                .fold(0u32, |bits, byte| (bits << 8) | u32::from(*byte))
                << (8 * (3 - chunk.len()));
            for at in 0..4 {
                let six = (bits >> (18 - 6 * at)) & 63;
                let digit = if at <= chunk.len() {
                    ALPHABET.get(six as usize).copied().unwrap_or(b'=')
                } else {
                    b'='
                };
                self.out.push(char::from(digit));
            }
        }
        self.out.push('"');
    }
}

/// A number of 16 bits.
fn half(bits: u32) -> f64 {
    let (exponent, mantissa) = ((bits >> 10) & 31, f64::from(bits & 1023));
    let size = match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + mantissa) * 2f64.powi(i32::try_from(exponent).unwrap_or(0) - 25),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_written_as_json() {
        let cases: [(&[u8], &str); 16] = [
            (&[0x18, 123], "123"),
            (
                &[0x3b, 255, 255, 255, 255, 255, 255, 255, 255],
                "-18446744073709551616",
            ),
            (&[0xf5], "true"),
            (&[0xf6], "null"),
            (&[0xfb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0], "1.5"),
            (&[0xfa, 0x3d, 0xcc, 0xcc, 0xcd], "0.1"),
            (&[0xf9, 0x3c, 0x00], "1.0"),
            (&[0x62, b'h', b'i'], "hi"),
            (&[0x81, 0x62, b'"', b'\n'], r#"["\"\n"]"#),
            (&[0x81, 0x44, 1, 2, 3, 4], r#"["AQIDBA=="]"#),
            (&[0xa2, 0x61, b'a', 0x01, 0x02, 0x80], r#"{"a":1,"2":[]}"#),
            (&[0xc4, 0x82, 0x21, 0x19, 0x30, 0x39], "123.45"),
            (&[0xc4, 0x82, 0x23, 0x20], "-0.0001"),
            (&[0xc4, 0x82, 0x02, 0x05], "5e2"),
            (&[0xc4, 0x82, 0x20, 0xc3, 0x41, 0x09], "-1.0"),
            (&[0xc0, 0x61, b'x'], "x"),
        ];
        for (value, expected) in cases {
            assert_eq!(text(value).as_deref(), Ok(expected), "{value:02x?}");
        }
    }

    #[test]
    fn what_is_no_value_is_an_error() {
        let deep = [vec![0x81; 70], vec![0]].concat();
        for value in [
            &[][..],
            &[0x18],
            &[0x82, 1],
            &[0x1c],
            &[0xff],
            &[1, 1],
            &[0x62, b'a'],
            &[0x61, 0xff],
            &deep,
        ] {
            assert!(text(value).is_err(), "{value:02x?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(value in prop::collection::vec(any::<u8>(), 0..200)) {
            let _either = text(&value);
        }
    }
}
