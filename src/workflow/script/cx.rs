//! Where in a list of commands the reader is: the words so far, and what is open.

use std::ops::Range;

use super::check::{self, Word, assigned_name, reads_commands};
use super::document::Document;
use super::scan::{ARITHMETIC, Becomes, Hole};

/// Words that commands follow.
const BEFORE_COMMANDS: &[&str] = &["if", "then", "elif", "else", "while", "until", "do", "!", "{"];
/// Words that end what is made of several commands.
const CLOSERS: &[&str] = &["}", "fi", "done", "esac"];
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Commands,
    List,
    Document,
    /// Between `[[` and `]]`.
    Condition,
}

/// Where in a list of commands the reader is.
pub(super) struct Cx {
    pub(super) kind: Kind,
    /// The words of the current command, without assignments before it and redirections.
    pub(super) words: Vec<Word>,
    pub(super) word: Word,
    /// Whether the next word is what a redirection is about.
    pub(super) redirect: bool,
    /// The expressions of the current pipeline, and whether one of its commands carries out what it reads.
    pub(super) pipeline: Vec<usize>,
    pub(super) carries_out: bool,
    /// Whether a `|` was the last.
    pub(super) piped: bool,
    /// Whether what several commands write goes into the pipeline.
    pub(super) closer: bool,
    /// Of each `case` that is open, whether a pattern is next.
    pub(super) cases: Vec<bool>,
    /// Parentheses that are open in a word.
    pub(super) parens: usize,
    pub(super) documents: Vec<Document>,
    /// Why no value may stand here, whatever is next.
    outer: Option<&'static str>,
}

impl Cx {
    pub(super) fn new(kind: Kind, outer: Option<&'static str>) -> Self {
        Self {
            kind,
            words: Vec::new(),
            word: Word::default(),
            redirect: false,
            pipeline: Vec::new(),
            carries_out: false,
            piped: false,
            closer: false,
            cases: Vec::new(),
            parens: 0,
            documents: Vec::new(),
            outer,
        }
    }

    /// The body of a here-document.
    pub(super) fn document(outer: Option<&'static str>) -> Self {
        Self::new(Kind::Document, outer)
    }

    pub(super) fn in_document(&self) -> bool {
        self.kind == Kind::Document
    }

    pub(super) fn outer(&self) -> Option<&'static str> {
        self.outer
    }

    pub(super) fn in_pattern(&self) -> bool {
        self.cases.last() == Some(&true)
    }

    /// What becomes of an expression that is the next, outside of quotes.
    pub(super) fn place(&self) -> Becomes {
        if let Some(why) = self.outer {
            return Becomes::Fault(why);
        }
        match self.kind {
            Kind::List if self.word.text.starts_with('[') => Becomes::Fault(ARITHMETIC),
            Kind::List | Kind::Document | Kind::Condition => Becomes::Reference,
            Kind::Commands if self.redirect || self.in_pattern() => Becomes::Reference,
            Kind::Commands => check::place(&self.words, &self.word),
        }
    }

    /// Takes a letter of a word.
    pub(super) fn push(&mut self, byte: u8) {
        // Braces and patterns may come to nothing.
        self.word.literal |= !b"{},*?".contains(&byte);
        self.push_name(byte);
    }

    /// Takes a letter of what a shell puts something else in place of.
    pub(super) fn push_name(&mut self, byte: u8) {
        self.word.begun = true;
        self.word.text.push(char::from(byte));
    }

    pub(super) fn quote(&mut self) {
        self.word.begun = true;
        self.word.quoted = true;
    }

    pub(super) fn take_hole(&mut self, hole: usize) {
        self.word.begun = true;
        self.word.holes = true;
        self.pipeline.push(hole);
    }

    /// Takes the expressions in a part of the text as those of this pipeline.
    pub(super) fn take_all(&mut self, holes: &[Hole<'_>], within: Range<usize>) {
        self.word.begun = true;
        let there = holes.iter().enumerate().filter(|(_, it)| within.contains(&it.at.start));
        self.pipeline.extend(there.map(|(at, _)| at));
    }

    pub(super) fn end_word(&mut self) {
        if !self.word.begun {
            return;
        }
        let mut word = std::mem::take(&mut self.word);
        self.parens = 0;
        // A brace alone is a word of the shell.
        word.literal |= word.text == "}";
        let plain = !word.quoted && !word.holes;
        let text = word.text.as_str();
        if std::mem::take(&mut self.redirect) || self.kind != Kind::Commands {
            return;
        }
        if plain && text == "esac" && (self.in_pattern() || self.words.is_empty()) {
            self.cases.pop();
            self.closer = true;
            self.words.push(word);
            return;
        }
        if self.in_pattern() {
            return;
        }
        let begins = self.words.iter().all(|it| it.text == "time" || it.text == "-p");
        if begins && plain && BEFORE_COMMANDS.contains(&text) {
            self.words.clear();
            return;
        }
        if self.words.is_empty() {
            if assigned_name(text).is_some() {
                return;
            }
            self.closer |= plain && CLOSERS.contains(&text);
        }
        let opens = plain && text == "in" && self.words.len() == 2 && self.words[0].text == "case";
        if opens {
            self.cases.push(true);
            self.words.clear();
        } else {
            self.words.push(word);
        }
    }

    pub(super) fn end_command(&mut self) {
        self.end_word();
        self.carries_out |= reads_commands(&self.words);
        self.words.clear();
        self.redirect = false;
        self.piped = false;
    }
}
