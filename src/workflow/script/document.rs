//! Here-documents: where they begin and end. What stands in them is read as in double quotes.

use super::cx::Cx;
use super::scan::{Becomes, Scanner};

const DELIMITER: &str = "a value would end the here-document";
pub(super) const UNKNOWN_END: &str = "nobody knows where the here-document before it ends";

/// A here-document that was announced and has not begun.
pub(super) struct Document {
    pub(super) delimiter: Vec<u8>,
    pub(super) quoted: bool,
    /// `<<-`
    pub(super) strips_tabs: bool,
}

impl Scanner<'_> {
    /// Where the body of a here-document ends, and what follows begins.
    pub(super) fn body(
        &self,
        from: usize,
        end: usize,
        document: &Document,
    ) -> Option<(usize, usize)> {
        let (mut at, mut goes_on) = (from, false);
        while at < end {
            let length = self.text[at..end].iter().position(|byte| *byte == b'\n');
            let stops = length.map_or(end, |length| at + length);
            let mut line = &self.text[at..stops];
            while let Some(rest) = line.strip_prefix(b"\t").filter(|_| document.strips_tabs) {
                line = rest;
            }
            if line == document.delimiter && !goes_on {
                return Some((at, (stops + 1).min(end)));
            }
            // A `\` at the end takes the next line in, unless nothing is read in the body.
            let backslashes = line.iter().rev().take_while(|byte| **byte == b'\\').count();
            goes_on = !document.quoted && backslashes % 2 == 1;
            at = stops + 1;
        }
        None
    }

    /// The delimiter of a here-document.
    pub(super) fn announce(&mut self, mut at: usize, end: usize, cx: &mut Cx) -> usize {
        let strips_tabs = self.starts(at, "-");
        at += usize::from(strips_tabs);
        while at < end && self.byte(at).is_some_and(|it| it == b' ' || it == b'\t') {
            at += 1;
        }
        let mut document = Document { delimiter: Vec::new(), quoted: false, strips_tabs };
        let mut quote = None;
        while at < end {
            if let Some(hole) = self.hole(at) {
                self.refuse(at..end, UNKNOWN_END);
                self.decide(hole, Becomes::Fault(DELIMITER));
                return end;
            }
            let Some(byte) = self.byte(at) else { break };
            match (byte, quote) {
                (byte, Some(opened)) if byte == opened => quote = None,
                (byte, Some(_)) => document.delimiter.push(byte),
                (b'\'' | b'"', None) => {
                    quote = Some(byte);
                    document.quoted = true;
                }
                (b'\\', None) => {
                    document.quoted = true;
                    at += 1;
                    document.delimiter.extend(self.byte(at));
                }
                (b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>', None) => {
                    break;
                }
                (byte, None) => document.delimiter.push(byte),
            }
            at += 1;
        }
        cx.documents.push(document);
        at.min(end)
    }
}
