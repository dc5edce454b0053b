//! Numbers and texts of numbers.
//!
//! All numbers are doubles. Into text they go with 15 significant digits, as GitHub's page says "decimal
//! format, exponential for large numbers":
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#functions>.

/// Significant digits of a number's text.
const DIGITS: i32 = 15;

/// The number that a text is, or NaN: decimal with sign, fraction and exponent, `0x` and `0o` with 32 bits,
/// `Infinity`. Blanks around it do not count, and an empty one is 0.
pub(super) fn parsed(text: &str) -> f64 {
    let text = text.trim();
    match text {
        "" => return 0.0,
        "Infinity" | "+Infinity" => return f64::INFINITY,
        "-Infinity" => return f64::NEG_INFINITY,
        _ => {}
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return of_radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return of_radix(digits, 8);
    }
    // `parse` would know `inf` and `nan` too.
    let decimal = |c: u8| matches!(c, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    match text.bytes().all(decimal) {
        true => text.parse().unwrap_or(f64::NAN),
        false => f64::NAN,
    }
}

/// 32 bits in two's complement: `0xffffffff` is -1.
fn of_radix(digits: &str, radix: u32) -> f64 {
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return f64::NAN;
    }
    match u32::from_str_radix(digits, radix) {
        Ok(bits) => f64::from(bits.cast_signed()),
        Err(_) => f64::NAN,
    }
}

/// The text of a number.
pub(super) fn text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number < 0.0 { "-Infinity" } else { "Infinity" }.to_owned();
    }
    if number == 0.0 {
        return if number.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let scientific = format!("{number:.14e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if mantissa.starts_with('-') { "-" } else { "" };
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_end_matches('0');
    let (first, rest) = digits.split_at(digits.len().min(1));
    if !(-4..DIGITS).contains(&exponent) {
        let point = if rest.is_empty() { "" } else { "." };
        let direction = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{first}{point}{rest}E{direction}{:02}", exponent.abs());
    }
    match usize::try_from(exponent) {
        Err(_) => {
            let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0));
            format!("{sign}0.{zeros}{digits}")
        }
        Ok(exponent) if digits.len() <= exponent + 1 => {
            format!("{sign}{digits}{}", "0".repeat(exponent + 1 - digits.len()))
        }
        Ok(exponent) => {
            let (whole, fraction) = digits.split_at(exponent + 1);
            format!("{sign}{whole}.{fraction}")
        }
    }
}

/// The JSON of a number: whole ones without a fraction, and a text where JSON has none.
pub(super) fn json(number: f64) -> serde_json::Value {
    /// Up to here each whole number is a double of its own.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    let negative_zero = number == 0.0 && number.is_sign_negative();
    if number.fract() == 0.0 && number.abs() <= WHOLE_MAX && !negative_zero {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and below 2^53")]
        return serde_json::Value::from(number as i64);
    }
    serde_json::Number::from_f64(number)
        .map_or_else(|| serde_json::Value::String(text(number)), serde_json::Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_numbers_as_github_reads_them() {
        let table = [
            ("", 0.0),
            ("  ", 0.0),
            (" 12 ", 12.0),
            ("-9.2", -9.2),
            ("+3", 3.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("-2.99e-2", -0.0299),
            ("1E3", 1000.0),
            ("0xff", 255.0),
            ("0xFF", 255.0),
            ("0xffffffff", -1.0),
            ("0o17", 15.0),
            ("Infinity", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("1e999", f64::INFINITY),
        ];
        for (text, number) in table {
            assert_eq!(parsed(text).to_bits(), number.to_bits(), "{text}");
        }
        let none =
            ["a", "1a", "inf", "nan", "0x", "0xg", "0x+1", "0X1", "-0x1", "0o8", "0x1ffffffff"];
        for text in none.into_iter().chain(["1 2", ".", "1e", "--1", "true", "1_000"]) {
            let number = parsed(text);
            assert!(number.is_nan(), "{text} is {number}");
        }
    }

    #[test]
    fn numbers_have_fifteen_digits_and_large_ones_an_exponent() {
        let table = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-42.0, "-42"),
            (0.1 + 0.2, "0.3"),
            (1.0 / 3.0, "0.333333333333333"),
            (2.0 / 3.0, "0.666666666666667"),
            (123.456, "123.456"),
            (100.0, "100"),
            (0.0001, "0.0001"),
            (0.000_01, "1E-05"),
            (-0.000_012_5, "-1.25E-05"),
            (999_999_999_999_999.0, "999999999999999"),
            (1e15, "1E+15"),
            (1_234_567_890_123_456_789.0, "1.23456789012346E+18"),
            (1e100, "1E+100"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (number, expected) in table {
            assert_eq!(text(number), expected);
        }
    }
}
