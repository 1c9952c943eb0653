//! Kubernetes quantities: `500m`, `64Mi`, `1e3`.

use serde::{Deserialize, Deserializer};
use std::fmt;
use std::hash::{Hash, Hasher};

/// A quantity as written, with its exact value. Two spellings of one value are equal (`1000m` and `1`).
///
/// Text that is no quantity is kept as it is and has no value: a live object may hold what a newer server accepts.
#[derive(Clone, Debug, Default)]
pub struct Quantity {
    text: String,
    nanos: Option<i128>,
}

impl Quantity {
    /// Reads text as written in a manifest.
    pub fn new(text: &str) -> Self {
        Quantity { text: text.to_owned(), nanos: parse_nanos(text) }
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// In units (bytes, cores), rounded up as Kubernetes' `Value()` does. `None` if the text is no quantity.
    pub fn value(&self) -> Option<i64> {
        self.nanos.and_then(|nanos| i64::try_from(ceil_div(nanos, NANO)).ok())
    }

    /// In thousandths of a unit (millicores), rounded up.
    pub fn millis(&self) -> Option<i64> {
        self.nanos.and_then(|nanos| i64::try_from(ceil_div(nanos, NANO / 1000)).ok())
    }

    /// The exact value in 10⁻⁹ units.
    pub fn nanos(&self) -> Option<i128> {
        self.nanos
    }
}

const NANO: i128 = 1_000_000_000;

fn ceil_div(value: i128, by: i128) -> i128 {
    value.div_euclid(by) + i128::from(value.rem_euclid(by) != 0)
}

/// The grammar of `k8s.io/apimachinery/pkg/api/resource`: a signed decimal with one suffix, binary (`Ki`…`Ei`), decimal
/// (`n`, `u`, `m`, none, `k`…`E`) or an exponent (`e3`, `E-3`). Digits below 10⁻⁹ round up, away from zero.
fn parse_nanos(text: &str) -> Option<i128> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (digits, suffix) = rest.split_at(end);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let (multiplier, exponent) = scale(suffix)?;
    // mantissa × multiplier × 10^(9 + exponent − digits of the fraction), all exact in i128 or refused.
    let mut mantissa: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        mantissa = mantissa.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    let power = 9 + exponent - i32::try_from(fraction.len()).ok()?;
    let scaled = mantissa.checked_mul(multiplier)?;
    let nanos = if power >= 0 {
        scaled.checked_mul(10i128.checked_pow(power.unsigned_abs())?)?
    } else {
        match 10i128.checked_pow(power.unsigned_abs()) {
            Some(by) => ceil_div(scaled, by),
            None => i128::from(scaled != 0),
        }
    };
    Some(if negative { -nanos } else { nanos })
}

/// The factor of a suffix as (binary multiplier, power of ten).
fn scale(suffix: &str) -> Option<(i128, i32)> {
    Some(match suffix {
        "" => (1, 0),
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.is_empty() || digits.len() > 2 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            (1, exponent.parse().ok()?)
        }
    })
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        match (self.nanos, other.nanos) {
            (Some(a), Some(b)) => a == b,
            _ => self.text == other.text,
        }
    }
}

/// By its spelling: what this is for is to find values that are written alike ([`crate::shared::Shared`]), and quantities
/// are no keys of any map.
impl Hash for Quantity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A quantity is written as a string, or as a bare number by people in a hurry.
impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Quantity;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity")
            }
            fn visit_str<E>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity::new(text))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Quantity, E> {
                Ok(Quantity::new(&number.to_string()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Quantity, E> {
                Ok(Quantity::new(&number.to_string()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Quantity, E> {
                Ok(Quantity::new(&number.to_string()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Bytes for people, in the binary units that limits are written in, with one decimal below 10: `64Mi`, `1.5Gi`.
pub fn bytes(value: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];
    for (unit, size) in UNITS {
        if value >= size {
            let tenths = (u128::from(value) * 10 + u128::from(size) / 2) / u128::from(size);
            return match (tenths / 10, tenths % 10) {
                (whole, 0) => format!("{whole}{unit}"),
                (whole, tenth) if whole < 10 => format!("{whole}.{tenth}{unit}"),
                (whole, tenth) => format!("{}{unit}", whole + u128::from(tenth >= 5)),
            };
        }
    }
    format!("{value}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str) -> Option<i64> {
        Quantity::new(text).value()
    }

    #[test]
    fn every_suffix_scales_as_the_api_server_does() {
        assert_eq!(value("64Mi"), Some(64 << 20));
        assert_eq!(value("1.5Gi"), Some(3 << 29));
        assert_eq!(value("1e3"), Some(1000));
        assert_eq!(value("1E"), Some(1_000_000_000_000_000_000));
        assert_eq!(value("100k"), Some(100_000));
        assert_eq!(value(".5"), Some(1));
        assert_eq!(Quantity::new("250m").millis(), Some(250));
        assert_eq!(Quantity::new("2").millis(), Some(2000));
    }

    #[test]
    fn half_a_byte_rounds_up_to_one() {
        // `512m` for `512Mi` is a slip people make; the kubelet sees a limit of one byte.
        assert_eq!(value("512m"), Some(1));
        assert_eq!(value("-512m"), Some(0));
    }

    #[test]
    fn spellings_of_one_value_are_equal() {
        assert_eq!(Quantity::new("1000m"), Quantity::new("1"));
        assert_eq!(Quantity::new("1024Mi"), Quantity::new("1Gi"));
        assert_ne!(Quantity::new("1G"), Quantity::new("1Gi"));
    }

    #[test]
    fn what_is_no_quantity_has_no_value_and_keeps_its_text() {
        for text in
            ["", "Mi", "1.2.3", "1MI", "1e", "1e999", "99999999999999999999999999999999999999999", "--1", "1 Mi"]
        {
            assert_eq!(value(text), None, "{text:?}");
            assert_eq!(Quantity::new(text).as_str(), text);
        }
    }

    #[test]
    fn bytes_read_as_limits_are_written() {
        assert_eq!(bytes(64 << 20), "64Mi");
        assert_eq!(bytes(3 << 29), "1.5Gi");
        assert_eq!(bytes(402_653_184), "384Mi");
        assert_eq!(bytes(1000), "1000");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in ".{0,40}") {
            let _ = Quantity::new(&text).value();
        }

        #[test]
        fn a_whole_number_is_itself(n in any::<i32>()) {
            prop_assert_eq!(value(&n.to_string()), Some(i64::from(n)));
        }

        #[test]
        fn binary_units_shift(n in 0i64..1_000_000, unit in 0usize..3) {
            let (suffix, shift) = [("Ki", 10), ("Mi", 20), ("Gi", 30)][unit];
            prop_assert_eq!(value(&format!("{n}{suffix}")), Some(n << shift));
        }
    }
}
