//! A step's output on its way to the mask and the log, and the workflow commands in it. Pure.
//!
//! It stands before the mask, so that a value reaches later steps as it was written and the log without
//! secrets; what it makes of a command goes through the mask like all else. Commands are looked for where a
//! workflow file says what runs, not in jobs that somebody submitted: their output is only text.
//!
//! Held back is the beginning of a line that may become a command, and a command's line until it ends.

use std::sync::Arc;

use super::super::log_mask::LogMask;
use super::commands::Command;
use super::said::Said;

/// The longest line of a command; longer ones do nothing.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// How far a command may be indented.
const INDENT_MAX: usize = 256;

/// One process's output.
pub(in crate::agent_runner) struct CommandStream {
    line: Line,
    /// What ends the time in which nothing is a command.
    stopped: Option<String>,
    /// Whether commands that leave no trace are shown.
    echo: bool,
    /// Whether `::debug::` is shown.
    debug: bool,
    /// Which old commands it has been warned of.
    warned: Vec<String>,
    said: Arc<Said>,
}

/// Where in a line the output is.
enum Line {
    /// White space and colons at its beginning, which may become a command.
    Begun(Vec<u8>),
    /// In a line that is no command.
    Plain,
    /// In a line that begins as one.
    Command(Vec<u8>),
    /// In the rest of one that is too long.
    Dropped,
}

impl CommandStream {
    pub(super) fn new(debug: bool, said: Arc<Said>) -> Self {
        let line = Line::Begun(Vec::new());
        Self { line, stopped: None, echo: false, debug, warned: Vec::new(), said }
    }

    /// Takes bytes in; what can be told goes through `mask` to `out`.
    pub(in crate::agent_runner) fn push(
        &mut self,
        mut bytes: &[u8],
        mask: &mut LogMask,
        out: &mut Vec<u8>,
    ) {
        while let Some(&first) = bytes.first() {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let after = end.map_or(bytes.len(), |at| at + 1);
            match &mut self.line {
                Line::Begun(held) if may_begin(held, first) => {
                    held.push(first);
                    if held.ends_with(b"::") {
                        self.line = Line::Command(std::mem::take(held));
                    }
                    bytes = &bytes[1..];
                }
                Line::Begun(held) => {
                    mask.push(held, out);
                    self.line = Line::Plain;
                }
                Line::Plain => {
                    mask.push(&bytes[..after], out);
                    if end.is_some() {
                        self.line = Line::Begun(Vec::new());
                    }
                    bytes = &bytes[after..];
                }
                Line::Command(line) => {
                    line.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
                    let is_too_long = line.len() > LINE_BYTES_MAX;
                    match (is_too_long, end) {
                        (true, _) => {
                            self.give_up(mask, out);
                            // The line end, or what is left of the line, is for what it is now.
                            bytes = &bytes[end.unwrap_or(bytes.len())..];
                        }
                        (false, Some(_)) => {
                            self.obey(b"\n", mask, out);
                            bytes = &bytes[after..];
                        }
                        (false, None) => bytes = &[],
                    }
                }
                Line::Dropped => {
                    if end.is_some() {
                        self.line = Line::Begun(Vec::new());
                    }
                    bytes = &bytes[after..];
                }
            }
        }
    }

    /// Nothing more belongs to the line that is begun.
    pub(in crate::agent_runner) fn finish(&mut self, mask: &mut LogMask, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.line, Line::Begun(Vec::new())) {
            Line::Begun(held) => mask.push(&held, out),
            Line::Plain | Line::Dropped => {}
            line @ Line::Command(_) => {
                self.line = line;
                self.obey(b"", mask, out);
            }
        }
    }

    /// The line is longer than any command may be.
    fn give_up(&mut self, mask: &mut LogMask, out: &mut Vec<u8>) {
        let Line::Command(line) = std::mem::replace(&mut self.line, Line::Plain) else { return };
        let known = Command::parse(&line).filter(|it| self.stopped.is_none() && is_known(&it.name));
        match known {
            Some(Command { name, .. }) => {
                let text = format!(
                    "##[warning] a `::{name}::` of more than {LINE_BYTES_MAX} bytes is dropped\n"
                );
                mask.push(text.as_bytes(), out);
                self.line = Line::Dropped;
            }
            None => mask.push(&line, out),
        }
    }

    /// A line that begins as a command is complete.
    fn obey(&mut self, end: &[u8], mask: &mut LogMask, out: &mut Vec<u8>) {
        let line = std::mem::replace(&mut self.line, Line::Begun(Vec::new()));
        let Line::Command(line) = line else { return };
        let command = Command::parse(line.strip_suffix(b"\r").unwrap_or(&line));
        let answer = match command {
            Some(command) if self.stopped.is_some() => {
                let resumes = self.stopped.as_deref() == Some(command.name.as_str());
                resumes.then(|| {
                    self.stopped = None;
                    None
                })
            }
            Some(command) if command.name == "add-mask" => {
                mask.name_secret(&command.data, out);
                out.push(b'\n');
                return;
            }
            Some(command) => self.carry_out(&command),
            None => None,
        };
        match answer {
            // No command, or one that nobody knows: text like all other.
            None => mask.push(&[&line, end].concat(), out),
            Some(told) => {
                if self.echo {
                    mask.push(&[&line, &b"\n"[..]].concat(), out);
                }
                if let Some(told) = told {
                    mask.push(format!("{told}\n").as_bytes(), out);
                }
            }
        }
    }

    /// What the log says of a command, if anything; the outer `None` where there is no such command.
    #[expect(clippy::option_option, reason = "not a command, and a silent one, are two things")]
    fn carry_out(&mut self, command: &Command) -> Option<Option<String>> {
        let name = command.name.as_str();
        Some(match name {
            "error" | "warning" | "notice" => Some(format!("##[{name}] {}", command.message())),
            "debug" => self.debug.then(|| format!("##[debug] {}", command.text())),
            "group" => Some(format!("##[group] {}", command.text())),
            "endgroup" => Some("##[endgroup]".to_owned()),
            "echo" => match command.text().trim().to_ascii_lowercase().as_str() {
                "on" => {
                    self.echo = true;
                    None
                }
                "off" => {
                    self.echo = false;
                    None
                }
                _ => Some("##[warning] `::echo::` is `on` or `off`".to_owned()),
            },
            "stop-commands" => self.stop(command.text().trim()),
            "set-output" => self.set_output(command),
            "save-state" => self.warn_of(name, "GITHUB_STATE"),
            "set-env" => Some(self.refuse(name, "GITHUB_ENV")),
            "add-path" => Some(self.refuse(name, "GITHUB_PATH")),
            // They tell a page of results what to look for; there is none.
            "add-matcher" | "remove-matcher" => None,
            _ => return None,
        })
    }

    /// From now on all is text, until `::token::`.
    fn stop(&mut self, token: &str) -> Option<String> {
        let token = token.to_ascii_lowercase();
        if token.is_empty() || token == "pause-logging" || is_known(&token) {
            let told = "##[warning] commands go on: the token of `::stop-commands::` is empty, or \
                        the name of a command";
            return Some(told.to_owned());
        }
        self.stopped = Some(token);
        None
    }

    fn set_output(&mut self, command: &Command) -> Option<String> {
        let Some(name) = command.property("name") else {
            return Some("##[warning] `::set-output::` without a name: write name=NAME".to_owned());
        };
        match self.said.output(name, command.text()) {
            Ok(()) => self.warn_of("set-output", "GITHUB_OUTPUT"),
            Err(complaint) => Some(format!("##[warning] {complaint}")),
        }
    }

    /// The first use of an old command is told.
    fn warn_of(&mut self, name: &str, file: &str) -> Option<String> {
        if self.warned.iter().any(|known| known == name) {
            return None;
        }
        self.warned.push(name.to_owned());
        Some(format!("##[warning] `::{name}::` is deprecated: append to the file in {file}"))
    }

    fn refuse(&self, name: &str, file: &str) -> String {
        let error = format!("`::{name}::` is switched off: append to the file in {file}");
        self.said.refuse(&error);
        format!("##[error] {error}")
    }
}

/// Whether a line that began so may still become a command with this byte.
fn may_begin(held: &[u8], byte: u8) -> bool {
    match byte {
        b':' => true,
        b' ' | b'\t' => !held.ends_with(b":") && held.len() < INDENT_MAX,
        _ => false,
    }
}

fn is_known(name: &str) -> bool {
    const KNOWN: [&str; 15] = [
        "add-mask",
        "add-matcher",
        "add-path",
        "debug",
        "echo",
        "endgroup",
        "error",
        "group",
        "notice",
        "remove-matcher",
        "save-state",
        "set-env",
        "set-output",
        "stop-commands",
        "warning",
    ];
    KNOWN.contains(&name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::secrets::Secrets;
    use super::*;

    /// What becomes of an output that arrives in these pieces.
    fn told(debug: bool, pieces: &[&[u8]]) -> (String, Arc<Said>) {
        let said = Arc::new(Said::default());
        let mut stream = CommandStream::new(debug, Arc::clone(&said));
        let mut mask = LogMask::of_text(Secrets::new([&b"sesame"[..]]));
        let mut out = Vec::new();
        for piece in pieces {
            stream.push(piece, &mut mask, &mut out);
        }
        stream.finish(&mut mask, &mut out);
        mask.finish(&mut out);
        (String::from_utf8_lossy(&out).into_owned(), said)
    }

    fn log(text: &str) -> String {
        told(false, &[text.as_bytes()]).0
    }

    #[test]
    fn commands_become_lines_of_the_log_and_text_stays_text() {
        let table = [
            ("plain :: text\n", "plain :: text\n"),
            ("::error file=a,line=2::open sesame\r\nx", "##[error] a:2: open ***\nx"),
            (" \t::warning::w%0Av\n", "##[warning] w\nv\n"),
            ("::notice::n", "##[notice] n\n"),
            ("::group::g\nin\n::endgroup::\n", "##[group] g\nin\n##[endgroup]\n"),
            ("::debug::quiet\n", ""),
            ("::unknown::sesame\n", "::unknown::***\n"),
            ("::error\n:: ::\n : ::error::x\n", "::error\n:: ::\n : ::error::x\n"),
            ("::add-mask::hidden\n  ::add-mask::hid2\nhidden hid2", ADDED),
            ("::echo::on\n::debug::x\n::echo::off\n::debug::x\n", ECHOED),
            ("::stop-commands::Tok\n::error::no\n::tok::\n::error::yes", STOPPED),
            ("::stop-commands::error\n::error::yes\n", REFUSED_TOKEN),
        ];
        for (text, expected) in table {
            assert_eq!(log(text), expected, "{text}");
        }
        assert_eq!(told(true, &[b"::debug::loud\n"]).0, "##[debug] loud\n");
    }

    const ADDED: &str = "::add-mask::***\n::add-mask::***\n*** ***";
    const ECHOED: &str = "::echo::on\n::debug::x\n";
    const STOPPED: &str = "::error::no\n##[error] yes\n";
    const REFUSED_TOKEN: &str = "##[warning] commands go on: the token of `::stop-commands::` is \
                                 empty, or the name of a command\n##[error] yes\n";

    #[test]
    fn outputs_are_kept_as_they_were_written_and_old_commands_are_told_once() {
        let text = "::set-output name=a::open sesame\n::set-output name=b::%0A\n::save-state::x\n";
        let (log, said) = told(false, &[text.as_bytes()]);
        let outputs = said.take_outputs();
        assert_eq!(outputs["a"], "open sesame");
        assert_eq!(outputs["b"], "\n");
        let expected = "##[warning] `::set-output::` is deprecated: append to the file in \
                        GITHUB_OUTPUT\n##[warning] `::save-state::` is deprecated: append to the \
                        file in GITHUB_STATE\n";
        assert_eq!(log, expected);
        assert_eq!(said.refused(), None);
    }

    #[test]
    fn a_command_that_would_change_later_steps_is_refused_and_fails_its_step() {
        let (log, said) = told(false, &[b"::set-env name=PATH::/evil\n::add-path::/evil\n"]);
        assert_eq!(log.matches("##[error]").count(), 2, "{log}");
        assert!(!log.contains("/evil"), "{log}");
        let error = "`::set-env::` is switched off: append to the file in GITHUB_ENV";
        assert_eq!(said.refused().as_deref(), Some(error));
    }

    #[test]
    fn what_is_too_long_does_nothing_and_what_is_too_much_is_dropped() {
        let long = "x".repeat(LINE_BYTES_MAX);
        let masked = log(&format!("::add-mask::{long}\n{long}\n"));
        assert!(masked.starts_with("##[warning] a `::add-mask::` of more than"), "{masked:.80}");
        assert!(masked.ends_with(&format!("dropped\n{long}\n")));
        let plain = format!("::{long}\nnext\n");
        assert_eq!(log(&plain), plain);
        let many: String = (0..101).map(|at| format!("::set-output name=n{at}::v\n")).collect();
        let (log, said) = told(false, &[many.as_bytes()]);
        assert!(log.contains("output `n100` is dropped"), "{log}");
        assert_eq!(said.take_outputs().len(), 100);
    }

    proptest! {
        #[test]
        fn any_output_is_told_the_same_however_it_is_cut(
            parts in prop::collection::vec(
                "::(error|add-mask|group|set-output name=a|stop-commands|tok|echo|x)::[a-c%:]{0,6}\r?\n?|[a-c: \n]{0,9}|sesame",
                0..12,
            ),
            size in 1_usize..20,
        ) {
            let text = parts.concat();
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let (whole, said) = told(true, &[text.as_bytes()]);
            let (cut, said_of_cut) = told(true, &pieces);
            prop_assert_eq!(cut, whole);
            prop_assert_eq!(said_of_cut.take_outputs(), said.take_outputs());
        }

        #[test]
        fn any_bytes_are_taken_and_what_is_held_back_is_bounded(
            bytes in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            let mut stream = CommandStream::new(false, Arc::default());
            let mut mask = LogMask::of_text(Arc::default());
            let mut out = Vec::new();
            for byte in &bytes {
                stream.push(&[*byte], &mut mask, &mut out);
                if let Line::Begun(held) = &stream.line {
                    prop_assert!(held.len() <= INDENT_MAX + 2);
                }
            }
            stream.finish(&mut mask, &mut out);
        }
    }
}
