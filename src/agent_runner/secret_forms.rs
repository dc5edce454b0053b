//! The forms in which a secret value may turn up in what a step writes. Pure.
//!
//! Each form is one that a usual tool makes of a value: base64 (also inside of longer base64),
//! percent-encoding, JSON strings, shell words. Not covered is what somebody makes on purpose: hex,
//! reversed text, a value cut in two. Of base64 inside of longer base64 up to one character at each
//! side stays, because it also depends on what stands beside the value.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The shortest value that is masked, in bytes, and the shortest line of one: a shorter one would
/// make a log unreadable and is no secret worth the name.
pub(super) const SECRET_BYTES_MIN: usize = 4;

/// At which columns base64 tools break their lines: PEM and coreutils.
const BASE64_COLUMNS: [usize; 2] = [64, 76];

/// Everything to look for because of one value; nothing when it is too short.
pub(super) fn forms(value: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    if is_too_short(value) {
        return forms;
    }
    // A file's last line end is often part of a value and seldom of what is printed.
    for whole in [value, value.trim_ascii()] {
        text_forms(whole, &mut forms);
        base64_forms(whole, &mut forms);
    }
    for line in value.split(|byte| *byte == b'\n') {
        text_forms(line.trim_ascii(), &mut forms);
    }
    forms
}

/// Whether a value cannot be masked. White space around it does not count: it would be found in
/// every indented line.
pub(super) fn is_too_short(value: &[u8]) -> bool {
    value.trim_ascii().len() < SECRET_BYTES_MIN
}

/// The value as text of some kind.
fn text_forms(value: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    if is_too_short(value) {
        return;
    }
    forms.insert(value.to_vec());
    forms.extend(PERCENT_STYLES.iter().map(|style| percent(value, style)));
    forms.extend(shell_words(value));
    if let Ok(text) = std::str::from_utf8(value) {
        forms.extend(JSON_STYLES.iter().map(|style| json(text, style).into_bytes()));
    }
}

/// Base64 in both alphabets, at each of the three places in a group of three bytes where the value
/// may begin: the part that is the same whatever stands around it, the end that it has when nothing
/// follows, and that with its padding.
fn base64_forms(value: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for (before, first) in [(0, 0), (1, 2), (2, 3)] {
            let mut bytes = vec![0; before];
            bytes.extend_from_slice(value);
            let encoded = engine.encode(&bytes).into_bytes();
            let inner = &encoded[first..bytes.len() * 8 / 6];
            if before == 0 {
                for columns in BASE64_COLUMNS.into_iter().filter(|it| *it < inner.len()) {
                    let lines = inner.chunks(columns).filter(|it| it.len() >= SECRET_BYTES_MIN);
                    forms.extend(lines.map(<[u8]>::to_vec));
                }
            }
            forms.insert(inner.to_vec());
            forms.insert(encoded[first..].to_vec());
            let padding = (4 - encoded.len() % 4) % 4;
            forms.insert([&encoded[first..], &b"=="[..padding]].concat());
        }
    }
}

/// One way to percent-encode.
struct PercentStyle {
    /// What stays beside letters and digits.
    keep: &'static [u8],
    /// Spaces become `+`.
    plus: bool,
    upper: bool,
}

/// RFC 3986 with either case of its hex digits and with `+` for spaces; with slashes left alone, as
/// in paths; as a browser's `encodeURIComponent` and its forms do.
const PERCENT_STYLES: [PercentStyle; 8] = [
    PercentStyle { keep: b"-._~", plus: false, upper: true },
    PercentStyle { keep: b"-._~", plus: false, upper: false },
    PercentStyle { keep: b"-._~", plus: true, upper: true },
    PercentStyle { keep: b"-._~", plus: true, upper: false },
    PercentStyle { keep: b"-._~/", plus: false, upper: true },
    PercentStyle { keep: b"-._~/", plus: false, upper: false },
    PercentStyle { keep: b"-._~!*'()", plus: false, upper: true },
    PercentStyle { keep: b"-._*", plus: true, upper: true },
];

fn percent(value: &[u8], style: &PercentStyle) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(value.len() * 3);
    for &byte in value {
        match byte {
            b' ' if style.plus => encoded.push(b'+'),
            _ if byte.is_ascii_alphanumeric() || style.keep.contains(&byte) => encoded.push(byte),
            _ if style.upper => encoded.extend(format!("%{byte:02X}").into_bytes()),
            _ => encoded.extend(format!("%{byte:02x}").into_bytes()),
        }
    }
    encoded
}

/// One way to write a JSON string.
struct JsonStyle {
    /// `\u000a` where others write `\n`.
    long: bool,
    /// `\/` for a slash.
    slash: bool,
    /// `\u00e9` for everything that is not ASCII.
    ascii: bool,
    /// `\u003c` for what HTML reads: `<`, `>`, `&`, `'`.
    html: bool,
    /// Upper hex digits.
    upper: bool,
}

const PLAIN: JsonStyle =
    JsonStyle { long: false, slash: false, ascii: false, html: false, upper: false };

/// What JSON writers do by default, and the long forms of all that must be escaped.
const JSON_STYLES: [JsonStyle; 10] = [
    PLAIN,
    JsonStyle { slash: true, ..PLAIN },
    JsonStyle { ascii: true, ..PLAIN },
    JsonStyle { ascii: true, slash: true, ..PLAIN },
    JsonStyle { html: true, ..PLAIN },
    JsonStyle { html: true, ascii: true, ..PLAIN },
    JsonStyle { html: true, ascii: true, upper: true, ..PLAIN },
    JsonStyle { long: true, ..PLAIN },
    JsonStyle { long: true, ascii: true, ..PLAIN },
    JsonStyle { long: true, ascii: true, upper: true, ..PLAIN },
];

fn json(text: &str, style: &JsonStyle) -> String {
    let mut escaped = String::with_capacity(text.len() * 2);
    let long = |escaped: &mut String, c: char| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            escaped.push_str(&match style.upper {
                true => format!("\\u{unit:04X}"),
                false => format!("\\u{unit:04x}"),
            });
        }
    };
    for c in text.chars() {
        let short = match c {
            '"' | '\\' => Some(c),
            '/' if style.slash => Some(c),
            '\u{8}' => Some('b'),
            '\t' => Some('t'),
            '\n' => Some('n'),
            '\u{c}' => Some('f'),
            '\r' => Some('r'),
            _ => None,
        };
        match short {
            Some(short) if !style.long || c == '/' => escaped.extend(['\\', short]),
            Some(_) => long(&mut escaped, c),
            None if c < ' ' => long(&mut escaped, c),
            None if style.ascii && !c.is_ascii() => long(&mut escaped, c),
            None if style.html && "<>&'".contains(c) => long(&mut escaped, c),
            None => escaped.push(c),
        }
    }
    escaped
}

/// The inside of the value as a word of a shell: in single quotes (two ways to write one inside
/// them), in double quotes, with backslashes, and as `$'..'`.
fn shell_words(value: &[u8]) -> [Vec<u8>; 5] {
    let each = |word: &dyn Fn(u8) -> Vec<u8>| value.iter().flat_map(|byte| word(*byte)).collect();
    let before = |special: &'static [u8]| {
        each(&move |byte| match special.contains(&byte) {
            true => vec![b'\\', byte],
            false => vec![byte],
        })
    };
    let quote = |inside: &'static [u8]| {
        each(&move |byte| if byte == b'\'' { inside.to_vec() } else { vec![byte] })
    };
    let c_style = each(&|byte| match byte {
        b'\'' | b'\\' => vec![b'\\', byte],
        b'\n' => b"\\n".to_vec(),
        b'\t' => b"\\t".to_vec(),
        b'\r' => b"\\r".to_vec(),
        0x07 => b"\\a".to_vec(),
        0x08 => b"\\b".to_vec(),
        0x0b => b"\\v".to_vec(),
        0x0c => b"\\f".to_vec(),
        0x1b => b"\\E".to_vec(),
        0..0x20 | 0x7f => format!("\\{byte:03o}").into_bytes(),
        _ => vec![byte],
    });
    [
        quote(b"'\\''"),
        quote(b"'\"'\"'"),
        before(b"\"\\$`"),
        before(b" \t'\"\\|&;()<>!{}*[?]^$`,"),
        c_style,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(value: &str, form: &str) -> bool {
        forms(value.as_bytes()).contains(form.as_bytes())
    }

    #[test]
    fn a_value_is_known_in_the_forms_that_tools_make_of_it() {
        assert!(has("a b/c?", "a%20b%2Fc%3F") && has("a b/c?", "a%20b%2fc%3f"));
        assert!(has("a b/c?", "a+b%2Fc%3F") && has("a b/c?", "a%20b/c%3F"));
        assert!(has("a\"/\n\u{e9}", r#"a\"/\né"#) && has("a\"/\n\u{e9}", r#"a\"\/\né"#));
        assert!(has("a\"/\n\u{e9}", r#"a\"/\n\u00e9"#));
        assert!(has("a\"b\n\u{1f}", r"a\u0022b\u000a\u001f"));
        assert!(has("a\"b\n\u{1f}", r"a\u0022b\u000A\u001F"));
        assert!(has("\u{1f600}abc", r"\ud83d\ude00abc"));
        assert!(has("it's $5", r"it'\''s $5") && has("it's $5", r"it\'s\ \$5"));
        assert!(has("it's $5", r"it's \$5") && has("it's $5", r#"it'"'"'s $5"#));
        assert!(has("two\nlines", r"two\nlines"));
    }

    #[test]
    fn base64_is_known_wherever_the_value_begins_and_whatever_follows() {
        let secret = "s3cr3t-v\u{fc}lue";
        for before in 0..4 {
            for after in 0..4 {
                let text = ["x".repeat(before), secret.into(), "?".repeat(after)].concat();
                for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
                    let encoded = engine.encode(&text);
                    let longest = forms(secret.as_bytes())
                        .into_iter()
                        .filter(|form| encoded.contains(&*String::from_utf8_lossy(form)))
                        .map(|form| form.len())
                        .max();
                    // All but the characters that also hold bits of the neighbours.
                    assert!(longest.is_some_and(|it| it >= secret.len() * 8 / 6 - 1), "{encoded}");
                }
            }
        }
    }

    #[test]
    fn long_base64_is_known_line_by_line() {
        let secret = "0123456789abcdef".repeat(8);
        let encoded = STANDARD_NO_PAD.encode(&secret);
        assert!(has(&secret, &encoded[..76]) && has(&secret, &encoded[64..128]));
    }

    #[test]
    fn lines_count_by_themselves_and_what_is_too_short_not_at_all() {
        let key = "-----BEGIN-----\r\n  MIIEv\nab\n-----END-----\n";
        assert!(has(key, "MIIEv") && has(key, "-----END-----") && !has(key, "ab"));
        assert!(has("token\n", "token"));
        assert!(forms(b"abc").is_empty() && forms(b"").is_empty());
    }
}
