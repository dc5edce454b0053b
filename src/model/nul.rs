//! U+0000, which PostgreSQL cannot keep in a text and a process cannot get in its environment.
//!
//! It is replaced where text comes in, once for both databases, so that what is remembered and what is
//! stored are the same. The raw body of a delivery keeps it.

use std::borrow::Cow;

/// How JSON writes it.
const ESCAPED: &str = r"\u0000";
/// What stands in its place.
const REPLACEMENT: &str = "\u{fffd}";

/// A text with U+FFFD for each U+0000.
pub fn without_nul(text: &str) -> Cow<'_, str> {
    if text.as_bytes().contains(&0) {
        Cow::Owned(text.replace('\0', REPLACEMENT))
    } else {
        Cow::Borrowed(text)
    }
}

/// JSON in whose texts U+FFFD stands for each U+0000; everything else is as it was. A bare one is no
/// JSON, and left to whoever reads it.
pub fn json_without_nul(json: &str) -> Cow<'_, str> {
    let mut cleaned = String::new();
    let mut rest = json;
    let mut from = 0;
    while let Some(found) = rest[from..].find(ESCAPED) {
        let at = from + found;
        // After another backslash it is the text `u0000`.
        let before = rest[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
        if before % 2 == 1 {
            from = at + 1;
            continue;
        }
        cleaned.push_str(&rest[..at]);
        cleaned.push_str(REPLACEMENT);
        rest = &rest[at + ESCAPED.len()..];
        from = 0;
    }
    if cleaned.is_empty() && rest.len() == json.len() {
        return Cow::Borrowed(json);
    }
    cleaned.push_str(rest);
    Cow::Owned(cleaned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nul_of_a_text_is_replaced() {
        assert_eq!(without_nul("a\0\0b"), "a\u{fffd}\u{fffd}b");
        assert!(matches!(without_nul("ab"), Cow::Borrowed("ab")));
    }

    #[test]
    fn json_keeps_everything_else() {
        let cases = [
            (r#"{"a":"x\u0000y\u0000"}"#, "{\"a\":\"x\u{fffd}y\u{fffd}\"}"),
            (r#"["\u0000"]"#, "[\"\u{fffd}\"]"),
            (r#"["\\u0000"]"#, r#"["\\u0000"]"#),
            (r#"["\\\u0000"]"#, "[\"\\\\\u{fffd}\"]"),
            (r#"["\\\\u0000\u0001"]"#, r#"["\\\\u0000\u0001"]"#),
        ];
        for (json, wanted) in cases {
            assert_eq!(json_without_nul(json), wanted, "{json}");
            let parsed: Vec<String> = serde_json::from_str(wanted).unwrap_or_default();
            assert!(parsed.iter().all(|text| !text.contains('\0')));
        }
        assert!(matches!(json_without_nul(r#"["\\u0000"]"#), Cow::Borrowed(_)));
    }
}
