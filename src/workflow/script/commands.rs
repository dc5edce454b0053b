//! Commands, their words and what stands between them.

use std::ops::Range;

use super::check::{self, Word};
use super::cx::{Cx, Kind};
use super::document::UNKNOWN_END;
use super::scan::{ARITHMETIC, Becomes, Close, Scanner};

/// Operators of `[[` for which an operand is arithmetic, or a name with a subscript.
const COUNTING: &[&str] = &["-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-v", "-R"];

impl Scanner<'_> {
    /// A list of commands, or of words, from its first letter to behind what closes it.
    pub(super) fn commands(
        &mut self,
        from: usize,
        end: usize,
        close: Close,
        outer: Option<&'static str>,
    ) -> usize {
        let kind = if close == Close::List { Kind::List } else { Kind::Commands };
        let mut cx = Cx::new(kind, outer);
        let mut at = from;
        while at < end {
            if let Some(hole) = self.hole(at) {
                self.unquoted(hole, &mut cx);
                at = self.holes[hole].at.end;
                continue;
            }
            let Some(byte) = self.byte(at) else { break };
            at = match byte {
                b'`' if close == Close::Backtick => {
                    self.end_pipeline(from..at, &mut cx);
                    return at + 1;
                }
                b')' if self.closes(close, &cx) => {
                    self.end_pipeline(from..at, &mut cx);
                    return at + 1;
                }
                b';' | b'&' | b'|' | b'\n' => self.separator(from, at, end, &mut cx),
                b'#' if !cx.word.begun => self.comment(at, end, close),
                b'(' => self.open_paren(at, end, &mut cx),
                b')' => self.close_paren(from, at, &mut cx),
                b'<' | b'>' => self.redirection(at, end, &mut cx),
                b'[' if self.begins_condition(at, &cx) => self.condition(at, end, &mut cx),
                _ => self.letter(at, end, &mut cx),
            };
        }
        self.end_pipeline(from..end, &mut cx);
        if close != Close::End || !cx.cases.is_empty() || !cx.documents.is_empty() {
            self.lost();
        }
        end
    }

    /// A letter of a word, a quote, or a blank.
    fn letter(&mut self, at: usize, end: usize, cx: &mut Cx) -> usize {
        match self.byte(at) {
            Some(b' ' | b'\t' | b'\r') => {
                cx.end_word();
                at + 1
            }
            Some(b'\'') => {
                cx.quote();
                self.single(at + 1, end, cx)
            }
            Some(b'"') => {
                cx.quote();
                self.double(at + 1, end, cx)
            }
            Some(b'`') => self.nested(at + 1, end, Close::Backtick, cx),
            Some(b'\\') => self.escape(at, end, cx),
            Some(b'$') => self.dollar(at, end, cx, false),
            Some(byte) => {
                cx.push(byte);
                at + 1
            }
            None => end,
        }
    }

    fn closes(&self, close: Close, cx: &Cx) -> bool {
        matches!(close, Close::Paren | Close::List) && cx.parens == 0 && !cx.in_pattern()
    }

    fn comment(&mut self, from: usize, end: usize, close: Close) -> usize {
        let stops = |byte: &u8| *byte == b'\n' || (close == Close::Backtick && *byte == b'`');
        let length = self.text[from..end].iter().position(stops);
        let at = length.map_or(end, |length| from + length);
        for hole in 0..self.holes.len() {
            if (from..at).contains(&self.holes[hole].at.start) {
                self.decide(hole, Becomes::Dropped);
            }
        }
        at
    }

    /// `;`, `&`, `|`, the end of a line, and their like.
    fn separator(&mut self, from: usize, at: usize, end: usize, cx: &mut Cx) -> usize {
        let within = from..at;
        if cx.kind == Kind::List {
            cx.end_word();
            return at + 1;
        }
        if self.starts(at, "\n") {
            return self.line(from, at, end, cx);
        }
        if self.starts(at, "&>") {
            cx.end_word();
            cx.redirect = true;
            return at + if self.starts(at, "&>>") { 3 } else { 2 };
        }
        for sign in [";;&", ";;", ";&"] {
            if self.starts(at, sign) {
                self.end_pipeline(within, cx);
                if let Some(pattern) = cx.cases.last_mut() {
                    *pattern = true;
                }
                return at + sign.len();
            }
        }
        for sign in ["&&", "||"] {
            if self.starts(at, sign) {
                self.end_pipeline(within, cx);
                return at + 2;
            }
        }
        if self.starts(at, "|") {
            cx.end_command();
            cx.piped = true;
            return at + if self.starts(at, "|&") { 2 } else { 1 };
        }
        self.end_pipeline(within, cx);
        at + 1
    }

    /// The end of a line, and the here-documents that begin behind it.
    fn line(&mut self, from: usize, at: usize, end: usize, cx: &mut Cx) -> usize {
        let goes_on = cx.piped && cx.words.is_empty() && !cx.word.begun;
        let mut carries_out = goes_on;
        if !goes_on {
            carries_out |= self.end_pipeline(from..at, cx);
        }
        let mut at = at + 1;
        for document in std::mem::take(&mut cx.documents) {
            let start = at.min(end);
            let Some((body, next)) = self.body(start, end, &document) else {
                self.refuse(start..end, UNKNOWN_END);
                return end;
            };
            self.document(start..body, document.quoted, carries_out || cx.outer().is_some());
            at = next;
        }
        at
    }

    /// Whether a command of the pipeline that ends here carries out what it reads.
    fn end_pipeline(&mut self, within: Range<usize>, cx: &mut Cx) -> bool {
        cx.end_command();
        let pipeline = std::mem::take(&mut cx.pipeline);
        let carries_out = std::mem::take(&mut cx.carries_out);
        let closer = std::mem::take(&mut cx.closer);
        if carries_out {
            self.refuse_all(&pipeline);
            if closer {
                self.refuse(within, check::PIPED);
            }
        }
        carries_out
    }

    fn open_paren(&mut self, at: usize, end: usize, cx: &mut Cx) -> usize {
        let begins = !cx.word.begun && cx.kind == Kind::Commands && !cx.in_pattern();
        // Wherever it stands: what comes before it may be a word that leaves it the begin of a command.
        if begins && self.starts(at, "((") {
            // It may also be a subshell in a subshell: who knows.
            let stops = self.balanced(at, end, b'(', b')');
            self.refuse(at..stops, ARITHMETIC);
            cx.words.push(Word { begun: true, ..Word::default() });
            return stops;
        }
        if cx.in_pattern() && !cx.word.begun {
            return at + 1;
        }
        if cx.word.begun && !cx.word.quoted && cx.word.text.ends_with('=') {
            let outer = cx.outer();
            let stops = self.deeper(at, end, |it| it.commands(at + 1, end, Close::List, outer));
            cx.take_all(self.holes, at..stops);
            return stops;
        }
        if cx.words.is_empty() && cx.word.text == "!" {
            cx.word = Word::default();
        }
        if cx.word.text.ends_with(['?', '*', '+', '@', '!']) || cx.parens > 0 {
            cx.push(b'(');
            cx.parens += 1;
            return at + 1;
        }
        if self.starts(at, "()") {
            // A function: its body is a command.
            cx.word = Word::default();
            cx.words.clear();
            return at + 2;
        }
        cx.end_word();
        let outer = cx.outer();
        let stops = self.deeper(at, end, |it| it.commands(at + 1, end, Close::Paren, outer));
        cx.take_all(self.holes, at..stops);
        cx.word = Word::default();
        cx.words.push(Word { begun: true, ..Word::default() });
        stops
    }

    fn close_paren(&mut self, from: usize, at: usize, cx: &mut Cx) -> usize {
        if cx.parens > 0 {
            cx.parens -= 1;
            cx.push(b')');
            return at + 1;
        }
        if cx.in_pattern() {
            cx.end_word();
            cx.words.clear();
            if let Some(pattern) = cx.cases.last_mut() {
                *pattern = false;
            }
            return at + 1;
        }
        self.end_pipeline(from..at, cx);
        self.lost();
        at + 1
    }

    fn redirection(&mut self, at: usize, end: usize, cx: &mut Cx) -> usize {
        if self.starts(at, "<(") || self.starts(at, ">(") {
            return self.nested(at + 2, end, Close::Paren, cx);
        }
        let descriptor = !cx.word.holes && cx.word.text.bytes().all(|it| it.is_ascii_digit());
        if descriptor && !cx.word.quoted {
            cx.word = Word::default();
        }
        cx.end_word();
        if self.starts(at, "<<") && !self.starts(at, "<<<") {
            return self.announce(at + 2, end, cx);
        }
        let signs = ["<<<", ">>", ">|", ">&", "<&", "<>"];
        let sign = signs.into_iter().find(|sign| self.starts(at, sign)).unwrap_or("<");
        cx.redirect = true;
        at + sign.len()
    }

    fn begins_condition(&self, at: usize, cx: &Cx) -> bool {
        let blank = |byte: u8| byte.is_ascii_whitespace();
        // `time [[ .. ]]` and `function f { [[ .. ]]; }` are conditions too.
        let timed = cx.words.iter().all(|word| word.text == "time" || word.text == "-p");
        let in_function = cx.words.first().is_some_and(|word| word.text == "function");
        let begins = !cx.word.begun && (timed || in_function) && cx.kind == Kind::Commands;
        begins && self.starts(at, "[[") && self.byte(at + 2).is_some_and(blank)
    }

    /// From `[[` to behind `]]`.
    fn condition(&mut self, from: usize, end: usize, cx: &mut Cx) -> usize {
        let mut inner = Cx::new(Kind::Condition, cx.outer());
        let (mut at, mut counts, mut closed) = (from + 2, false, false);
        while at < end && !closed {
            if let Some(hole) = self.hole(at) {
                self.unquoted(hole, &mut inner);
                at = self.holes[hole].at.end;
                continue;
            }
            if self.starts(at, "<(") || self.starts(at, ">(") {
                at = self.nested(at + 2, end, Close::Paren, &mut inner);
                continue;
            }
            match self.byte(at) {
                Some(
                    b' ' | b'\t' | b'\r' | b'\n' | b'(' | b')' | b'<' | b'>' | b'&' | b'|' | b';',
                ) => {
                    let word = std::mem::take(&mut inner.word);
                    let plain = !word.quoted && !word.holes;
                    counts |= plain && COUNTING.contains(&word.text.as_str());
                    closed = plain && word.text == "]]";
                    at += usize::from(!closed);
                }
                _ => at = self.letter(at, end, &mut inner),
            }
        }
        let last = !inner.word.quoted && inner.word.text == "]]";
        if counts || !(closed || last) {
            self.refuse(from..at, ARITHMETIC);
        }
        cx.pipeline.append(&mut inner.pipeline);
        cx.words.push(Word {
            text: "[[".to_owned(),
            begun: true,
            literal: true,
            ..Word::default()
        });
        at
    }
}
