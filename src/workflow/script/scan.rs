//! Reads a script as bash does, as far as it takes to know the place of every expression.
//!
//! Expressions are taken for letters of a word. What is not certain is refused: a place that this takes for
//! another one than the shell does must not be one where a value is read twice.

use std::ops::Range;

use super::check::PIPED;
use super::cx::Cx;
use crate::expression::Expression;

/// How deep quotes and commands may stand in each other.
const DEPTH_MAX: usize = 64;

pub(super) const ARITHMETIC: &str = "arithmetic carries out what stands in a value";
const UNSOUND: &str = "the script has a quote or a bracket that is not closed, or not opened";
const DEEP: &str = "the script is nested too deep here to be understood";
const ESCAPED: &str = "a `\\` before it would keep the value out";
const EXPANSION: &str = "a value in `${..}` would be read as a name, a place or a pattern";
const LITERAL: &str = "a shell puts no value into `$'..'`";
const QUOTED_HERE: &str = "a shell puts no value into a here-document with a quoted delimiter";
const VARIABLE: &str = "a value would be a part of a variable's name";
const BACKTICK: &str = "single quotes in backticks cannot be reopened; write `$(..)`";

/// An expression in a script.
pub(super) struct Hole<'t> {
    pub(super) expression: &'t Expression,
    /// From `$` to behind the last `}`.
    pub(super) at: Range<usize>,
    /// Whether its value certainly is plain.
    pub(super) plain: bool,
}

/// What becomes of an expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Becomes {
    /// It stays.
    Kept,
    /// It goes.
    Dropped,
    /// `${V}`
    Reference,
    /// `"${V}"`
    Quoted,
    /// `'"${V}"'`
    Reopened,
    /// It may not stand there.
    Fault(&'static str),
}

/// What becomes of each expression of a script for bash or sh.
pub(super) fn scan(run: &str, holes: &[Hole<'_>]) -> Vec<Becomes> {
    let mut text = run.as_bytes().to_vec();
    for hole in holes {
        text[hole.at.clone()].fill(FILLER);
    }
    let becomes = vec![None; holes.len()];
    let mut scanner = Scanner { text, holes, becomes, depth: 0, backticks: 0, unsound: false };
    let end = scanner.text.len();
    scanner.commands(0, end, Close::End, None);
    let unknown = Becomes::Fault("its place in the script is not understood");
    if scanner.unsound {
        scanner.refuse(0..end, UNSOUND);
    }
    scanner.becomes.into_iter().map(|becomes| becomes.unwrap_or(unknown)).collect()
}

/// Stands for an expression in the text.
const FILLER: u8 = 1;

/// What ends a list of commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Close {
    End,
    Paren,
    Backtick,
    /// The `)` of `NAME=(..)`: words, and no commands.
    List,
}

/// Reads the text from place to place; each function begins where it is told, and says where it has ended.
pub(super) struct Scanner<'h> {
    pub(super) text: Vec<u8>,
    pub(super) holes: &'h [Hole<'h>],
    becomes: Vec<Option<Becomes>>,
    depth: usize,
    /// How many backticks are open.
    backticks: usize,
    /// Whether something was not closed, or closed and not open: then the shell understands another script.
    unsound: bool,
}

impl Scanner<'_> {
    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    pub(super) fn starts(&self, at: usize, sign: &str) -> bool {
        self.text.get(at..).is_some_and(|rest| rest.starts_with(sign.as_bytes()))
    }

    /// The expression that begins here.
    pub(super) fn hole(&self, at: usize) -> Option<usize> {
        self.holes.binary_search_by_key(&at, |hole| hole.at.start).ok()
    }

    /// Decides about an expression; a plain one stays but where nothing may.
    pub(super) fn decide(&mut self, hole: usize, becomes: Becomes) {
        let kept = self.holes[hole].plain && becomes != Becomes::Dropped;
        self.becomes[hole] = Some(if kept { Becomes::Kept } else { becomes });
    }

    /// Says that the script is not understood.
    pub(super) fn lost(&mut self) {
        self.unsound = true;
    }

    /// Refuses an expression, if nothing was wrong with it before.
    pub(super) fn refuse_one(&mut self, hole: usize, why: &'static str) {
        if !matches!(self.becomes[hole], Some(Becomes::Fault(_) | Becomes::Dropped)) {
            self.decide(hole, Becomes::Fault(why));
        }
    }

    /// Refuses all expressions in a part of the text.
    pub(super) fn refuse(&mut self, within: Range<usize>, why: &'static str) {
        for hole in 0..self.holes.len() {
            if within.contains(&self.holes[hole].at.start) {
                self.refuse_one(hole, why);
            }
        }
    }

    /// One level deeper, or the end of the text with everything in it refused.
    pub(super) fn deeper(
        &mut self,
        at: usize,
        end: usize,
        read: impl FnOnce(&mut Self) -> usize,
    ) -> usize {
        if self.depth >= DEPTH_MAX {
            self.refuse(at..end, DEEP);
            return end;
        }
        self.depth += 1;
        let at = read(self);
        self.depth -= 1;
        at
    }

    /// What stands in single quotes, from behind the first.
    pub(super) fn single(&mut self, mut at: usize, end: usize, cx: &mut Cx) -> usize {
        while at < end {
            if let Some(hole) = self.hole(at) {
                let becomes = match cx.place() {
                    Becomes::Fault(why) => Becomes::Fault(why),
                    _ if self.backticks > 0 => Becomes::Fault(BACKTICK),
                    _ => Becomes::Reopened,
                };
                self.decide(hole, becomes);
                cx.take_hole(hole);
                at = self.holes[hole].at.end;
                continue;
            }
            match self.byte(at) {
                Some(b'\'') => return at + 1,
                Some(byte) => {
                    cx.push(byte);
                    at += 1;
                }
                None => return end,
            }
        }
        self.lost();
        end
    }

    /// `$'..'`, from behind the quote.
    fn ansi(&mut self, from: usize, end: usize) -> usize {
        let mut at = from;
        while at < end {
            match self.byte(at) {
                Some(b'\\') => at += 2,
                Some(b'\'') => break,
                _ => at += 1,
            }
        }
        let at = at.min(end);
        self.refuse(from..at, LITERAL);
        (at + 1).min(end)
    }

    /// What stands in double quotes, from behind the first; or a here-document, which no quote ends.
    pub(super) fn double(&mut self, mut at: usize, end: usize, cx: &mut Cx) -> usize {
        while at < end {
            if let Some(hole) = self.hole(at) {
                let becomes = match cx.place() {
                    Becomes::Fault(why) => Becomes::Fault(why),
                    _ => Becomes::Reference,
                };
                self.decide(hole, becomes);
                cx.take_hole(hole);
                at = self.holes[hole].at.end;
                continue;
            }
            match self.byte(at) {
                Some(b'"') if !cx.in_document() => return at + 1,
                Some(b'\\') => at = self.escape(at, end, cx),
                Some(b'`') => at = self.nested(at + 1, end, Close::Backtick, cx),
                Some(b'$') => at = self.dollar(at, end, cx, true),
                Some(byte) => {
                    cx.push(byte);
                    at += 1;
                }
                None => return end,
            }
        }
        self.unsound |= !cx.in_document();
        end
    }

    /// A `\` and what it is about.
    pub(super) fn escape(&mut self, at: usize, end: usize, cx: &mut Cx) -> usize {
        if let Some(hole) = self.hole(at + 1) {
            self.decide(hole, Becomes::Fault(ESCAPED));
            cx.take_hole(hole);
            return self.holes[hole].at.end;
        }
        match self.byte(at + 1) {
            // The line goes on.
            Some(b'\n') | None => {}
            Some(byte) => cx.push(byte),
        }
        (at + 2).min(end)
    }

    /// Commands whose output is a part of a word.
    pub(super) fn nested(&mut self, at: usize, end: usize, close: Close, cx: &mut Cx) -> usize {
        let outer = match cx.place() {
            Becomes::Fault(why) => Some(why),
            _ => cx.outer(),
        };
        let backtick = usize::from(close == Close::Backtick);
        self.backticks += backtick;
        let stops = self.deeper(at, end, |it| it.commands(at, end, close, outer));
        self.backticks -= backtick;
        cx.take_all(self.holes, at..stops);
        stops
    }

    /// A `$` and what it begins.
    pub(super) fn dollar(&mut self, at: usize, end: usize, cx: &mut Cx, quoted: bool) -> usize {
        let next = at + 1;
        cx.push_name(b'$');
        if let Some(hole) = self.hole(next) {
            self.decide(hole, Becomes::Fault(VARIABLE));
            cx.take_hole(hole);
            return self.holes[hole].at.end;
        }
        match self.byte(next) {
            Some(b'(') if self.starts(next, "((") => {
                let stops = self.balanced(next, end, b'(', b')');
                self.refuse(next..stops, ARITHMETIC);
                stops
            }
            Some(b'(') => self.nested(next + 1, end, Close::Paren, cx),
            Some(b'[') => {
                let stops = self.balanced(next, end, b'[', b']');
                self.refuse(next..stops, ARITHMETIC);
                stops
            }
            Some(b'{') => {
                let stops = self.balanced(next, end, b'{', b'}');
                self.refuse(next..stops, EXPANSION);
                stops
            }
            Some(b'\'') if !quoted => self.ansi(next + 1, end),
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => {
                let mut stops = next;
                while self.byte(stops).is_some_and(|it| it.is_ascii_alphanumeric() || it == b'_') {
                    cx.push_name(self.text[stops]);
                    stops += 1;
                }
                if let Some(hole) = self.hole(stops).filter(|_| stops < end) {
                    self.decide(hole, Becomes::Fault(VARIABLE));
                    cx.take_hole(hole);
                    stops = self.holes[hole].at.end;
                }
                stops
            }
            // `$$`, `$?` and the like; a quote is read by whoever called.
            Some(b'$' | b'?' | b'#' | b'!' | b'@' | b'*' | b'-' | b'0'..=b'9') => next + 1,
            _ => next,
        }
    }

    /// From an open sign to behind the one that closes it; quotes are stepped over.
    pub(super) fn balanced(&self, mut at: usize, end: usize, open: u8, close: u8) -> usize {
        let mut depth = 0_usize;
        let mut quote = None;
        while at < end {
            let Some(byte) = self.byte(at) else { break };
            match (byte, quote) {
                (b'\\', None | Some(b'"')) => at += 1,
                (b'"', None) => quote = Some(byte),
                // An apostrophe in `${x:-it's}` within double quotes opens nothing; without a second one it
                // opens nothing anywhere.
                (b'\'', None) if self.text[at + 1..end].contains(&b'\'') && open != b'{' => {
                    quote = Some(byte);
                }
                (byte, Some(opened)) if byte == opened => quote = None,
                (_, Some(_)) => {}
                (byte, None) if byte == open => depth += 1,
                (byte, None) if byte == close => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return at + 1;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        end
    }

    /// The body of a here-document.
    pub(super) fn document(&mut self, body: Range<usize>, quoted: bool, read_as_code: bool) {
        if quoted {
            self.refuse(body, QUOTED_HERE);
            return;
        }
        let mut cx = Cx::document(read_as_code.then_some(PIPED));
        let end = body.end;
        self.deeper(body.start, end, |it| it.double(body.start, end, &mut cx));
    }

    /// Refuses the expressions of commands whose output, or input, is carried out.
    pub(super) fn refuse_all(&mut self, holes: &[usize]) {
        for hole in holes {
            self.refuse_one(*hole, PIPED);
        }
    }

    /// What becomes of an expression outside of quotes.
    pub(super) fn unquoted(&mut self, hole: usize, cx: &mut Cx) {
        let becomes = cx.place();
        self.decide(hole, becomes);
        cx.take_hole(hole);
        if becomes == Becomes::Quoted && !self.holes[hole].plain {
            cx.quote();
        }
    }
}
