//! Two spellings of a time: `heartbeat_timeout_ms = 60000` and `heartbeat_timeout = "60s"`.
//!
//! A number is milliseconds only where the key says so, and text carries its unit itself, so that
//! no number is ever read in a unit that its writer did not mean.

use toml::de::DeValue;

use super::ConfigError;
use super::entry::{Entry, EntryValue};
use crate::ask::millis;

/// The entry under the key that the section's type has, a time as milliseconds. Unknown keys pass
/// through.
///
/// # Errors
/// A time whose unit is missing, twice there, or not one of ms, s, m, h and d.
pub(super) fn canonical<'i>(
    section: &str,
    entry: Entry<'i>,
    allowed: &[&str],
) -> Result<Entry<'i>, ConfigError> {
    let fail = |message: String| {
        ConfigError::new(entry.origin.clone(), format!("{section}.{}", entry.key), message)
    };
    let EntryValue::Toml(value) = &entry.value else { return Ok(entry) };
    let text = value.get_ref().as_str();
    if allowed.contains(&entry.key.as_str()) {
        return match (entry.key.strip_suffix("_ms"), text) {
            (Some(base), Some(text)) => {
                let error = fail(format!("the key's unit is ms, its value is the text \"{text}\""));
                Err(error.hint(spellings(base, text)))
            }
            _ => Ok(entry),
        };
    }
    let key = format!("{}_ms", entry.key);
    if !allowed.contains(&key.as_str()) {
        return Ok(entry);
    }
    match (value.get_ref(), text) {
        (_, Some(text)) => match millis(text) {
            Some(time_ms) => Ok(Entry { key, value: EntryValue::Millis(time_ms), ..entry }),
            None => Err(fail(format!("\"{text}\" is not a whole number with a unit"))
                .hint("the units are ms, s, m, h and d: \"500ms\", \"60s\", \"5m\", \"6h\"")),
        },
        (DeValue::Integer(number), _) => {
            Err(fail(format!("the number {number} has no unit")).hint(spellings(&entry.key, "60s")))
        }
        (other, _) => Err(fail(format!("expected text with a unit, found {}", other.type_str()))
            .hint(spellings(&entry.key, "60s"))),
    }
}

/// Both ways to write a time under a key; the example where the text is no time.
fn spellings(base: &str, text: &str) -> String {
    let (text, time_ms) = millis(text).map_or(("60s", 60_000), |time_ms| (text, time_ms));
    format!("write `{base} = \"{text}\"` or `{base}_ms = {time_ms}`")
}
