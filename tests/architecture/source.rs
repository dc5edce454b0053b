//! A source file as the rules look at it: tokens with their lines, and the paths they spell.
//!
//! Comments, strings and `#[cfg(test)]` items are gone, which is as much of the language as the
//! rules need. Deliberately absent: macros and inline modules; neither hides an import here.

use std::path::{Path, PathBuf};

/// One file.
pub(crate) struct Source {
    /// From the repository's root, with `/`: `src/driver/run.rs`.
    pub(crate) name: String,
    /// The whole text.
    pub(crate) text: String,
    tokens: Vec<Token>,
}

/// A word or a mark of a program.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Token {
    line: usize,
    text: String,
}

/// `a::b::c` with the line where it begins.
pub(crate) struct Spelled {
    /// From 1.
    pub(crate) line: usize,
    /// Its segments; the first one is `crate`, a library or something local.
    pub(crate) segments: Vec<String>,
}

impl Source {
    /// All files below a folder of the repository whose names end so.
    pub(crate) fn below(root: &Path, folder: &str, ending: &str) -> Vec<Self> {
        let mut paths = Vec::new();
        walk(&root.join(folder), &mut paths);
        paths.retain(|path| path.to_string_lossy().ends_with(ending));
        paths.sort();
        paths.iter().map(|path| Self::read(root, path)).collect()
    }

    fn read(root: &Path, path: &Path) -> Self {
        let text =
            std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let text = String::from_utf8_lossy(&text).into_owned();
        let name = path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/");
        Self::new(name, text)
    }

    /// A file of this text.
    pub(crate) fn new(name: String, text: String) -> Self {
        let tokens = if name.ends_with(".rs") { without_tests(&tokens(&text)) } else { Vec::new() };
        Self { name, text, tokens }
    }

    /// Whether the whole file is a test: such files may import what they like.
    pub(crate) fn is_test(&self) -> bool {
        let below_src = self.name.trim_start_matches("src/");
        below_src.split('/').any(|part| part == "tests")
            || below_src.ends_with("/tests.rs")
            || below_src.ends_with("_tests.rs")
    }

    /// The text of the module's own doc.
    pub(crate) fn module_doc(&self) -> String {
        let lines = self.text.lines().map_while(|line| line.strip_prefix("//!"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Lines on which these words stand side by side.
    pub(crate) fn lines_with(&self, words: [&str; 2]) -> Vec<usize> {
        let side_by_side = |pair: &&[Token]| pair[0].text == words[0] && pair[1].text == words[1];
        self.tokens.windows(2).filter(side_by_side).map(|pair| pair[0].line).collect()
    }

    /// Every path that the file spells, `use` trees taken apart. `super` that climbs out of the
    /// file's room is written as `crate`.
    pub(crate) fn paths(&self) -> Vec<Spelled> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            if is_word(&self.tokens[at].text) {
                at = self.tree(at, &[], &mut found);
            } else {
                at += 1;
            }
        }
        let depth = self.depth();
        for path in &mut found {
            let climbs = path.segments.iter().take_while(|it| *it == "super").count();
            if climbs > 0 && climbs >= depth {
                path.segments.splice(..climbs, ["crate".to_owned()]);
            }
        }
        found
    }

    /// How many `super` lead from this module to the crate's root.
    fn depth(&self) -> usize {
        let below_src = self.name.trim_start_matches("src/").trim_end_matches(".rs");
        below_src.split('/').filter(|part| *part != "mod").count()
    }

    /// Reads a path, or a tree of them, that begins at a token; returns the token after it.
    fn tree(&self, mut at: usize, before: &[String], found: &mut Vec<Spelled>) -> usize {
        let text = |at: usize| self.tokens.get(at).map_or("", |token| token.text.as_str());
        let line = self.tokens[at].line;
        let mut segments = before.to_vec();
        loop {
            segments.push(text(at).to_owned());
            at += 1;
            if text(at) != "::" {
                break;
            }
            at += 1;
            if text(at) == "{" {
                at += 1;
                while !matches!(text(at), "}" | "") {
                    let in_tree = is_word(text(at)) || text(at) == "*";
                    at = if in_tree { self.tree(at, &segments, found) } else { at + 1 };
                }
                return at + 1;
            }
            if !is_word(text(at)) {
                break;
            }
        }
        found.push(Spelled { line, segments });
        at
    }
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry of a folder can be read").path();
        if path.is_dir() {
            walk(&path, paths);
        } else {
            paths.push(path);
        }
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c == '_' || c.is_alphabetic())
}

/// The words and marks of a program, without comments and without what strings say.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let length = length_of_token(rest, first);
        let (token, after) = rest.split_at(length);
        let silent = first.is_whitespace()
            || token.starts_with("//")
            || token.starts_with("/*")
            || token.ends_with('"')
            || (token.starts_with('\'') && token.ends_with('\'') && token.len() > 1);
        if !silent {
            tokens.push(Token { line, text: token.to_owned() });
        }
        line += token.matches('\n').count();
        rest = after;
    }
    tokens
}

/// How many bytes belong together at the beginning of this text.
fn length_of_token(rest: &str, first: char) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return length_of_comment(rest);
    }
    if let Some(length) = length_of_string(rest) {
        return length;
    }
    if first == '\'' {
        return length_of_quote(rest);
    }
    if rest.starts_with("::") {
        return 2;
    }
    if first == '_' || first.is_alphanumeric() {
        return rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
    }
    first.len_utf8()
}

/// Comments nest.
fn length_of_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    loop {
        let here = &rest[at..];
        match here {
            _ if here.starts_with("/*") => (depth, at) = (depth + 1, at + 2),
            _ if here.starts_with("*/") => (depth, at) = (depth - 1, at + 2),
            _ => match here.chars().next() {
                Some(c) => at += c.len_utf8(),
                None => return rest.len(),
            },
        }
        if depth == 0 {
            return at;
        }
    }
}

/// Plain, byte, C and raw strings.
fn length_of_string(rest: &str) -> Option<usize> {
    let prefix = rest.find(|c| !matches!(c, 'b' | 'c' | 'r')).filter(|length| *length <= 2)?;
    let hashes = rest[prefix..].find(|c| c != '#')?;
    let open = prefix + hashes;
    let raw = rest[..prefix].contains('r');
    if !rest[open..].starts_with('"') || (hashes > 0 && !raw) {
        return None;
    }
    if raw {
        let close = format!("\"{}", "#".repeat(hashes));
        let end = rest[open + 1..].find(&close).map(|at| open + 1 + at + close.len());
        // Ends with a quote, as every string does, so that it is known for one.
        return Some(end.map_or(rest.len(), |end| end - hashes));
    }
    let mut escaped = false;
    for (at, c) in rest[open + 1..].char_indices() {
        match c {
            '"' if !escaped => return Some(open + at + 2),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    Some(rest.len())
}

/// A character, or the mark of a lifetime alone.
fn length_of_quote(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_)) => {
            let close = chars.find(|(_, c)| *c == '\'');
            close.map_or(rest.len(), |(at, _)| at + 1)
        }
        (Some((_, c)), Some((at, '\''))) if c != '\'' => at + 1,
        _ => 1,
    }
}

/// Takes out each item that stands behind `#[cfg(test)]`.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let marked = tokens[at..].iter().map(|token| token.text.as_str()).take(7).eq(MARK);
        if marked {
            at = end_of_item(tokens, at + MARK.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// The token after an item: after its `;`, or after the braces of its body.
fn end_of_item(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth -= 1,
            "}" if depth == 1 => return at + 1,
            "}" => depth -= 1,
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(name: &str, text: &str) -> Vec<String> {
        let source = Source::new(name.to_owned(), text.to_owned());
        source.paths().iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn trees_are_taken_apart() {
        let text = "use crate::{a, b::{c as d, e::*}};\nuse std::{fs, io::Read as _};";
        let found = paths("src/x.rs", text);
        for path in ["crate::a", "crate::b::c", "crate::b::e", "std::fs", "std::io::Read"] {
            assert!(found.iter().any(|it| it == path), "{path} is not in {found:?}");
        }
    }

    #[test]
    fn comments_strings_and_tests_say_nothing() {
        let text = r##"
            //! [`crate::doc`]
            /* crate::a /* crate::b */ crate::c */
            const S: &str = "crate::d \" crate::e";
            const R: &str = r#"crate::f " crate::g"#;
            const C: [char; 2] = ['"', '\''];
            fn keep<'a>(x: &'a crate::kept::K) {}
            #[cfg(test)]
            mod tests;
            #[cfg(test)]
            fn f(x: [u8; 3]) { crate::h::i(); }
            use crate::also_kept;
        "##;
        let found = paths("src/x.rs", text);
        let ours: Vec<_> = found.iter().filter(|path| path.starts_with("crate")).collect();
        assert_eq!(ours, ["crate::kept::K", "crate::also_kept"]);
    }

    #[test]
    fn super_that_leaves_the_room_is_seen() {
        assert_eq!(paths("src/x/mod.rs", "super::y::z"), ["crate::y::z"]);
        assert_eq!(paths("src/x/a.rs", "super::b; super::super::y"), ["super::b", "crate::y"]);
    }
}
