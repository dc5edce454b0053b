//! Inputs of a dispatch: JSON of somebody else's shape that travels with the event.
//!
//! They are stored inside the event's JSON and read back, also by runners, whose JSON readers have
//! limits of their own. So their depth is bounded well below any reader's, their size is bounded,
//! and their text is cleaned like every other ([`super::text`]). Nothing is cut: inputs with a
//! piece missing would be other inputs, so what is over a limit is an error.

use serde_json::{Map, Value};

use super::text;

/// Deepest nesting of inputs; a common JSON reader stops at 128, of which the event needs some.
pub const INPUTS_DEPTH_MAX: usize = 64;

/// Most bytes of inputs as sent. GitHub's own limit is 65,535 characters.
/// <https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_dispatch>
pub const INPUTS_BYTES_MAX: usize = 262_144;

/// Why inputs are refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InputsError {
    /// More bytes than [`INPUTS_BYTES_MAX`].
    #[error(
        "inputs of {bytes} bytes are over the limit of {INPUTS_BYTES_MAX}: send a reference instead"
    )]
    TooLarge {
        /// How many there are.
        bytes: usize,
    },
    /// Nested deeper than [`INPUTS_DEPTH_MAX`].
    #[error("inputs are nested deeper than {INPUTS_DEPTH_MAX} levels: flatten them")]
    TooDeep,
    /// Not JSON.
    #[error("inputs are not valid JSON: {0}")]
    Invalid(String),
}

/// Inputs from JSON text. Anything but an object counts as no inputs.
///
/// # Errors
///
/// [`InputsError`] when a limit is passed or the text is not JSON.
pub fn from_json(json: &str) -> Result<Map<String, Value>, InputsError> {
    if !json.trim_start().starts_with('{') {
        return Ok(Map::new());
    }
    within_size(json.len())?;
    match serde_json::from_str(json) {
        Ok(inputs) => checked(inputs),
        // The reader's own limit of depth is above ours, so reaching it is reaching ours.
        Err(error) if error.to_string().contains("recursion limit") => Err(InputsError::TooDeep),
        Err(error) => Err(InputsError::Invalid(error.to_string())),
    }
}

/// Inputs that were read already, checked and cleaned.
///
/// # Errors
///
/// [`InputsError`] when a limit is passed.
pub fn from_map(inputs: Map<String, Value>) -> Result<Map<String, Value>, InputsError> {
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, &inputs)
        .map_err(|error| InputsError::Invalid(error.to_string()))?;
    within_size(counter.0)?;
    checked(inputs)
}

/// Counts bytes instead of keeping them.
struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn within_size(bytes: usize) -> Result<(), InputsError> {
    if bytes > INPUTS_BYTES_MAX { Err(InputsError::TooLarge { bytes }) } else { Ok(()) }
}

fn checked(inputs: Map<String, Value>) -> Result<Map<String, Value>, InputsError> {
    cleaned_map(inputs, INPUTS_DEPTH_MAX)
}

/// Recursion is bounded by `depth_left`.
fn cleaned_map(
    map: Map<String, Value>,
    depth_left: usize,
) -> Result<Map<String, Value>, InputsError> {
    let depth_left = depth_left.checked_sub(1).ok_or(InputsError::TooDeep)?;
    map.into_iter()
        .map(|(key, value)| Ok((text::without_nul(&key).into_owned(), cleaned(value, depth_left)?)))
        .collect()
}

fn cleaned(value: Value, depth_left: usize) -> Result<Value, InputsError> {
    match value {
        Value::String(text) => Ok(Value::String(text::without_nul(&text).into_owned())),
        Value::Object(map) => cleaned_map(map, depth_left).map(Value::Object),
        Value::Array(items) => {
            let depth_left = depth_left.checked_sub(1).ok_or(InputsError::TooDeep)?;
            items.into_iter().map(|item| cleaned(item, depth_left)).collect()
        }
        scalar => Ok(scalar),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> String {
        format!("{{\"a\":{}0{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1))
    }

    #[test]
    fn nesting_is_bounded_far_from_the_stack() {
        assert!(from_json(&nested(INPUTS_DEPTH_MAX)).is_ok());
        for levels in [INPUTS_DEPTH_MAX + 1, 127, 128, 129, 100_000] {
            assert_eq!(from_json(&nested(levels)), Err(InputsError::TooDeep), "{levels} levels");
        }
    }

    #[test]
    fn inputs_at_the_depth_limit_survive_a_common_reader() {
        let inputs = from_json(&nested(INPUTS_DEPTH_MAX)).unwrap();
        let wrapped = serde_json::json!({"event": {"inputs": inputs}}).to_string();
        assert!(serde_json::from_str::<Value>(&wrapped).is_ok());
    }

    /// Found by fuzzing: the fast reader of numbers is off by a last digit now and then.
    #[test]
    fn numbers_are_read_as_they_were_sent() {
        let inputs = from_json(r#"{"a": 1099999999999999999999999999999999999999999}"#).unwrap();
        let text = serde_json::to_string(&inputs).unwrap();
        assert_eq!(from_json(&text).unwrap(), inputs);
        assert_eq!(inputs["a"], 1_099_999_999_999_999_999_999_999_999_999_999_999_999_999_f64);
    }

    #[test]
    fn too_many_bytes_are_refused_and_not_cut() {
        let json = format!("{{\"a\":\"{}\"}}", "x".repeat(INPUTS_BYTES_MAX));
        let bytes = json.len();
        assert_eq!(from_json(&json), Err(InputsError::TooLarge { bytes }));
        let map = serde_json::from_str(&json).unwrap();
        assert_eq!(from_map(map), Err(InputsError::TooLarge { bytes }));
    }

    #[test]
    fn a_nul_is_replaced_in_keys_and_values_at_any_depth() {
        let inputs = from_json(r#"{"a\u0000": [{"b": "c\u0000d"}]}"#).unwrap();
        assert_eq!(Value::Object(inputs).to_string(), "{\"a\u{fffd}\":[{\"b\":\"c\u{fffd}d\"}]}");
    }

    #[test]
    fn what_is_no_object_is_no_inputs() {
        for json in ["null", "3", "[1]", "\"text\""] {
            assert_eq!(from_json(json), Ok(Map::new()));
        }
    }

    #[test]
    fn broken_json_is_an_error() {
        assert!(matches!(from_json("{\"a\":"), Err(InputsError::Invalid(_))));
    }
}
