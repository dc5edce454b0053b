//! Lines in, lines out: one question each, one answer each, in order.
//!
//! A line that is no question, or a wrong one, is answered with `{"error": ".."}`, and the next one
//! is read: whoever sends many wants to know about all of them.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::super::CliError;
use super::super::console::Console;

/// The longest line: a body of GitHub's 25 MB in base64, its headers, and room.
const LINE_BYTES_MAX: usize = 48 * 1024 * 1024;
/// What stands for standard input.
const STDIN: &str = "-";

/// Where lines come from.
#[derive(Clone, Debug, Args)]
pub struct Lines {
    /// Read questions from standard input, or from FILE, one JSON object a line, and answer each
    /// with one
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = STDIN)]
    jsonl: Option<PathBuf>,
}

/// An answer to what cannot be answered.
#[derive(Serialize)]
struct Wrong {
    error: String,
}

impl Lines {
    /// Answers each line.
    ///
    /// # Errors
    /// There are none, they cannot be read, or the answers not written.
    pub(super) fn answer<T: Serialize>(
        &self,
        answer: impl Fn(&str) -> Result<T, String>,
        console: &mut Console,
    ) -> Result<(), CliError> {
        let path = self.jsonl.as_deref().ok_or_else(|| CliError::Usage {
            message: "there are no questions".to_owned(),
            hint: "write them to standard input, one JSON object a line, and say --jsonl; \
                   docs/dry-runs.md has their form"
                .to_owned(),
        })?;
        if path == Path::new(STDIN) {
            return answer_all(std::io::stdin().lock(), LINE_BYTES_MAX, answer, console);
        }
        let file =
            File::open(path).map_err(|source| CliError::File { path: path.to_owned(), source })?;
        answer_all(BufReader::new(file), LINE_BYTES_MAX, answer, console)
    }
}

fn answer_all<T: Serialize>(
    mut lines: impl BufRead,
    bytes_max: usize,
    answer: impl Fn(&str) -> Result<T, String>,
    console: &mut Console,
) -> Result<(), CliError> {
    let mut line = Vec::new();
    while let Some(bytes) = next_line(&mut lines, bytes_max, &mut line)? {
        let said = if bytes > bytes_max {
            Err(format!("the line has {bytes} bytes, at most {bytes_max}"))
        } else {
            let text = std::str::from_utf8(&line);
            text.map_err(|error| format!("the line is not UTF-8: {error}")).and_then(&answer)
        };
        let text = match said {
            Ok(answer) => serde_json::to_string(&answer),
            Err(error) => serde_json::to_string(&Wrong { error }),
        };
        console.line(&text.map_err(std::io::Error::from)?)?;
    }
    Ok(())
}

/// Reads the next line without its end; of one that is too long, the length and nothing more.
/// `None` at the end of all.
fn next_line(
    lines: &mut impl BufRead,
    bytes_max: usize,
    line: &mut Vec<u8>,
) -> std::io::Result<Option<usize>> {
    line.clear();
    let mut bytes = 0;
    loop {
        let buffer = match lines.fill_buf() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        if buffer.is_empty() {
            return Ok((bytes > 0).then_some(bytes));
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        bytes += part.len();
        if bytes <= bytes_max {
            line.extend_from_slice(part);
        } else {
            *line = Vec::new();
        }
        let taken = part.len() + usize::from(end.is_some());
        lines.consume(taken);
        if end.is_some() {
            return Ok(Some(bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::OutputFormat;
    use crate::cli::console::tests::Paper;
    use crate::clock::ManualClock;

    /// Answers each line with its length, and `no` with an error.
    fn answered(text: &[u8], bytes_max: usize) -> String {
        let paper = Paper::default();
        let mut console = Console::with_writers(
            OutputFormat::Table,
            ManualClock::default(),
            paper.clone(),
            Paper::default(),
        );
        let answer = |line: &str| match line {
            "no" => Err("it is \"no\"".to_owned()),
            line => Ok(line.len()),
        };
        // A small buffer, so that lines lie across its edges.
        let lines = BufReader::with_capacity(3, text);
        answer_all(lines, bytes_max, answer, &mut console).unwrap();
        paper.text()
    }

    #[test]
    fn each_line_has_its_answer_in_its_place() {
        assert_eq!(
            answered(b"ab\nno\nabcdefgh\n", 100),
            "2\n{\"error\":\"it is \\\"no\\\"\"}\n8\n"
        );
        assert_eq!(answered(b"", 100), "");
        assert_eq!(answered(b"ab", 100), "2\n", "the last line needs no end");
        assert_eq!(answered(b"\n\nab\n", 100), "0\n0\n2\n", "an empty line is a line");
    }

    #[test]
    fn a_line_that_is_too_long_or_no_text_is_an_error_of_its_own() {
        insta::assert_snapshot!(answered(b"abcde\nabcd\nabcdefghijklm\na\xff\nab", 4), @r#"
        {"error":"the line has 5 bytes, at most 4"}
        4
        {"error":"the line has 13 bytes, at most 4"}
        {"error":"the line is not UTF-8: invalid utf-8 sequence of 1 bytes from index 1"}
        2
        "#);
    }
}
