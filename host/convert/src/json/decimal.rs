//! Decimal numbers of any size: as JSON literals, as the two's complement bytes that the Java
//! project sends as base64, as CBOR, and between scales without loss.
//!
//! Sizes are bounded before anything is multiplied, so that a short text like `1e999999999` costs
//! nothing. Must never round.

use connect_record::Value;
use num_bigint::{BigInt, Sign};

/// Tags of CBOR.
const POSITIVE: u64 = 2;
const NEGATIVE: u64 = 3;
const DECIMAL: u64 = 4;

/// Most digits before or after the point that a decimal may have here: above PostgreSQL's 131 072
/// and 16 383, and small enough that the quadratic conversion to and from text takes milliseconds.
const MOST_DIGITS: u32 = 150_000;

/// `unscaled × 10^-scale`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    unscaled: BigInt,
    scale: i64,
}

impl Decimal {
    /// From its parts; none when it is larger than anything here may be.
    pub(super) fn new(unscaled: BigInt, scale: i64) -> Option<Self> {
        let bits = u64::from(MOST_DIGITS).saturating_mul(4);
        (scale.unsigned_abs() <= u64::from(MOST_DIGITS) && unscaled.bits() <= bits)
            .then_some(Self { unscaled, scale })
    }

    /// From a JSON number: digits, maybe a point, maybe an exponent.
    pub(super) fn from_literal(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.len().saturating_add(fraction.len()) > MOST_DIGITS as usize {
            return None;
        }
        let scale = i64::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        let digits = [whole, fraction].concat();
        let all_digits = digits
            .strip_prefix('-')
            .unwrap_or(&digits)
            .bytes()
            .all(|b| b.is_ascii_digit());
        if !all_digits {
            return None;
        }
        Self::new(BigInt::parse_bytes(digits.as_bytes(), 10)?, scale)
    }

    /// From the unscaled value's two's complement, most significant byte first.
    pub(super) fn from_bytes(bytes: &[u8], scale: i64) -> Option<Self> {
        if bytes.is_empty() || bytes.len() > MOST_DIGITS as usize {
            return None;
        }
        Self::new(BigInt::from_signed_bytes_be(bytes), scale)
    }

    /// The unscaled value's two's complement, most significant byte first, in as few bytes as it
    /// takes and at least one.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.unscaled.to_signed_bytes_be()
    }

    /// The same number at another scale; none when that would drop a digit.
    pub(super) fn with_scale(&self, scale: i64) -> Option<Self> {
        let more = scale.checked_sub(self.scale)?;
        let power = u32::try_from(more.unsigned_abs())
            .ok()
            .filter(|power| *power <= 2 * MOST_DIGITS)?;
        if self.unscaled.sign() == Sign::NoSign {
            return Self::new(BigInt::ZERO, scale);
        }
        if more >= 0 {
            return Self::new(&self.unscaled * BigInt::from(10).pow(power), scale);
        }
        // no number that is allowed here is divisible by a higher power of ten
        if power > MOST_DIGITS {
            return None;
        }
        let divisor = BigInt::from(10).pow(power);
        let quotient = &self.unscaled / &divisor;
        if &quotient * &divisor != self.unscaled {
            return None;
        }
        Self::new(quotient, scale)
    }

    /// As a JSON number without exponent.
    pub(super) fn to_literal(&self) -> String {
        let mut digits = self.unscaled.magnitude().to_string();
        let sign = if self.unscaled.sign() == Sign::Minus {
            "-"
        } else {
            ""
        };
        let scale = usize::try_from(self.scale.unsigned_abs()).unwrap_or_default();
        if self.scale <= 0 {
            if self.unscaled.sign() != Sign::NoSign {
                digits.push_str(&"0".repeat(scale));
            }
            return format!("{sign}{digits}");
        }
        if digits.len() <= scale {
            digits.insert_str(0, &"0".repeat(scale + 1 - digits.len()));
        }
        digits.insert(digits.len() - scale, '.');
        format!("{sign}{digits}")
    }

    /// From `4([exponent, unscaled])`; the unscaled number may be one of more than 64 bits.
    pub(super) fn from_value(value: &Value) -> Option<Self> {
        let Value::Tag(DECIMAL, parts) = value else {
            return None;
        };
        let Value::Array(parts) = parts.as_ref() else {
            return None;
        };
        let [Value::Int(exponent), unscaled] = parts.as_slice() else {
            return None;
        };
        let unscaled = match unscaled {
            Value::Int(number) => BigInt::from(*number),
            Value::Tag(POSITIVE, magnitude) => positive(magnitude)?,
            // written as -1 - n, which is n's complement
            Value::Tag(NEGATIVE, magnitude) => !positive(magnitude)?,
            _ => return None,
        };
        Self::new(unscaled, exponent.checked_neg()?)
    }

    /// As [`Decimal::from_value`] reads it.
    pub(super) fn to_value(&self) -> Value {
        let big = |tag, number: &BigInt| {
            Value::Tag(tag, Box::new(Value::Bytes(number.to_bytes_be().1.into())))
        };
        let unscaled = match i64::try_from(&self.unscaled) {
            Ok(small) => Value::Int(small),
            Err(_) if self.unscaled.sign() == Sign::Minus => big(NEGATIVE, &!&self.unscaled),
            Err(_) => big(POSITIVE, &self.unscaled),
        };
        // a scale is far from the ends of its type
        let exponent = Value::Int(self.scale.saturating_neg());
        Value::Tag(DECIMAL, Box::new(Value::Array(vec![exponent, unscaled])))
    }

    /// Digits after the point; below zero, zeros before it.
    pub(super) fn scale(&self) -> i64 {
        self.scale
    }
}

fn positive(magnitude: &Value) -> Option<BigInt> {
    match magnitude {
        // bounded before it becomes a number
        Value::Bytes(bytes) if bytes.len() <= MOST_DIGITS as usize => {
            Some(BigInt::from_bytes_be(Sign::Plus, bytes))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(unscaled: i64, scale: i64) -> Decimal {
        Decimal::new(BigInt::from(unscaled), scale).unwrap()
    }

    #[test]
    fn literals_are_read_with_their_scale() {
        for (text, unscaled, scale) in [
            ("0", 0, 0),
            ("-0", 0, 0),
            ("1.50", 150, 2),
            ("-0.001", -1, 3),
            ("1e3", 1, -3),
            ("1.5E-2", 15, 3),
            ("12e+1", 12, -1),
        ] {
            assert_eq!(
                Decimal::from_literal(text),
                Some(decimal(unscaled, scale)),
                "{text}"
            );
        }
        for text in [
            "",
            "-",
            "1.2.3",
            "a",
            "1e",
            "1e999999999999999999999",
            "1e-150001",
            "1_000",
            "+1",
            "--1",
            "1-1",
        ] {
            assert_eq!(Decimal::from_literal(text), None, "{text}");
        }
    }

    #[test]
    fn literals_are_written_without_exponent() {
        for (unscaled, scale, text) in [
            (0, 0, "0"),
            (0, 2, "0.00"),
            (0, -3, "0"),
            (150, 2, "1.50"),
            (-1, 3, "-0.001"),
            (1, -3, "1000"),
            (-12, 1, "-1.2"),
        ] {
            assert_eq!(decimal(unscaled, scale).to_literal(), text);
        }
    }

    #[test]
    fn bytes_are_javas_two_s_complement() {
        for (unscaled, bytes) in [
            (0i64, &[0u8][..]),
            (156, &[0x00, 0x9c]),
            (-156, &[0xff, 0x64]),
            (127, &[0x7f]),
            (-128, &[0x80]),
        ] {
            assert_eq!(decimal(unscaled, 2).to_bytes(), bytes);
            assert_eq!(Decimal::from_bytes(bytes, 2), Some(decimal(unscaled, 2)));
        }
        assert_eq!(Decimal::from_bytes(&[], 2), None);
    }

    #[test]
    fn a_scale_changes_without_loss_or_not_at_all() {
        assert_eq!(decimal(15, 1).with_scale(3), Some(decimal(1500, 3)));
        assert_eq!(decimal(1500, 3).with_scale(1), Some(decimal(15, 1)));
        assert_eq!(decimal(1501, 3).with_scale(1), None);
        assert_eq!(decimal(0, 3).with_scale(-9), Some(decimal(0, -9)));
        assert_eq!(decimal(1, 0).with_scale(i64::MAX), None);
        assert_eq!(decimal(1, 150_000).with_scale(-150_000), None);
        assert_eq!(
            decimal(1, -150_000).with_scale(150_000),
            None,
            "300 001 digits"
        );
    }

    proptest! {
        #[test]
        fn literal_and_bytes_lead_back(bytes in prop::collection::vec(any::<u8>(), 1..40), scale in -50i64..50) {
            let decimal = Decimal::from_bytes(&bytes, scale).unwrap();
            let read = Decimal::from_literal(&decimal.to_literal()).unwrap();
            prop_assert_eq!(read.with_scale(scale), Some(decimal.clone()));
            prop_assert_eq!(Decimal::from_value(&decimal.to_value()), Some(decimal.clone()));
            prop_assert_eq!(Decimal::from_bytes(&decimal.to_bytes(), scale), Some(decimal));
        }

        #[test]
        fn any_text_is_harmless(text in ".{0,40}") {
            let number = text.bytes().any(|byte| byte.is_ascii_digit());
            prop_assert!(number || Decimal::from_literal(&text).is_none());
        }
    }
}
