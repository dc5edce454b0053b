//! What a process writes, on its way into the log: without secrets, and with those in mind that
//! it names itself by a line `::add-mask::VALUE`, as in GitHub's workflows. Pure.
//!
//! The command is a whole line in exactly that form; `%25`, `%0D` and `%0A` in its value stand for
//! `%` and line ends. The line itself is logged as `::add-mask::***`, and the value is masked from
//! then on in all that the job sends. Where all workflow commands are known, somebody before the mask
//! reads them and names the values: [`LogMask::of_text`].

use std::sync::Arc;

use super::mask::{MASK, MaskStream};
use super::secret_forms::SECRET_BYTES_MIN;
use super::secrets::{ADDED_BYTES_MAX, ADDED_VALUES_MAX, Added, Secrets};
use super::steps::unescape_data;

const COMMAND: &[u8] = b"::add-mask::";

/// One process's output.
pub(crate) struct LogMask {
    secrets: Arc<Secrets>,
    /// Of what `stream` looks for.
    version: u64,
    stream: MaskStream,
    line: Line,
    /// Whether it looks for the command.
    obeys: bool,
}

/// Where in a line the output is.
enum Line {
    /// So many bytes of `COMMAND` have been read at its beginning, and nothing else.
    Begun(usize),
    /// In a line that is no command.
    Plain,
    /// Behind the command: its value so far, of which no more is kept than can be masked.
    Command(Vec<u8>),
}

impl LogMask {
    pub(crate) fn new(secrets: Arc<Secrets>) -> Self {
        let (version, matcher) = (secrets.version(), secrets.matcher());
        let stream = MaskStream::new(matcher);
        Self { secrets, version, stream, line: Line::Begun(0), obeys: true }
    }

    /// One in whose text no line is a command.
    pub(super) fn of_text(secrets: Arc<Secrets>) -> Self {
        Self { line: Line::Plain, obeys: false, ..Self::new(secrets) }
    }

    /// Takes bytes in; appends to `out` what can be told.
    pub(crate) fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        self.look_for_news();
        while let Some(first) = bytes.first() {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let after = end.map_or(bytes.len(), |at| at + 1);
            match &mut self.line {
                Line::Begun(count) if *first == COMMAND[*count] => {
                    *count += 1;
                    if *count == COMMAND.len() {
                        self.line = Line::Command(Vec::new());
                    }
                    bytes = &bytes[1..];
                }
                Line::Begun(count) => {
                    self.stream.push(&COMMAND[..*count], out);
                    self.line = Line::Plain;
                }
                Line::Plain => {
                    self.stream.push(&bytes[..after], out);
                    if end.is_some() && self.obeys {
                        self.line = Line::Begun(0);
                    }
                    bytes = &bytes[after..];
                }
                Line::Command(value) => {
                    let room = (ADDED_BYTES_MAX + 2).saturating_sub(value.len());
                    let part = &bytes[..end.unwrap_or(bytes.len())];
                    value.extend_from_slice(&part[..part.len().min(room)]);
                    if end.is_some() {
                        self.obey(out);
                        out.push(b'\n');
                    }
                    bytes = &bytes[after..];
                }
            }
        }
    }

    /// Tells what is held back: nothing more belongs to it.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        match self.line {
            Line::Begun(count) => self.stream.push(&COMMAND[..count], out),
            Line::Plain => {}
            Line::Command(_) => self.obey(out),
        }
        self.line = if self.obeys { Line::Begun(0) } else { Line::Plain };
        self.stream.finish(out);
    }

    /// The command's line is complete.
    fn obey(&mut self, out: &mut Vec<u8>) {
        let line = std::mem::replace(&mut self.line, Line::Begun(0));
        let Line::Command(value) = line else { return };
        let value = value.strip_suffix(b"\r").unwrap_or(&value);
        let meant = unescape_data(value);
        let mut added = self.secrets.add(&meant);
        if added == Added::Masked && meant != value {
            added = self.secrets.add(value);
        }
        self.tell(added, out);
    }

    /// Masks a value from now on, and tells that as the command's line, without a line end.
    pub(super) fn name_secret(&mut self, value: &[u8], out: &mut Vec<u8>) {
        let added = self.secrets.add(value);
        self.tell(added, out);
    }

    fn tell(&mut self, added: Added, out: &mut Vec<u8>) {
        // No secret goes on over the command.
        self.stream.finish(out);
        self.look_for_news();
        out.extend_from_slice(COMMAND);
        out.extend_from_slice(MASK);
        let complaint = match added {
            Added::Masked => return,
            Added::TooShort => format!("it has less than {SECRET_BYTES_MIN} bytes"),
            Added::TooMany => format!(
                "a job can name {ADDED_VALUES_MAX} values of {ADDED_BYTES_MAX} bytes together"
            ),
        };
        let complaint = format!("\n##[warning] the value is not masked: {complaint}");
        out.extend_from_slice(complaint.as_bytes());
    }

    /// Other processes of the job name secrets, too, and the runner's own token changes.
    fn look_for_news(&mut self) {
        let version = self.secrets.version();
        if version != self.version {
            self.version = version;
            self.stream.look_for(self.secrets.matcher());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(pieces: &[&[u8]]) -> String {
        let mut mask = LogMask::new(Secrets::new([&b"sesame"[..]]));
        let mut out = Vec::new();
        for piece in pieces {
            mask.push(piece, &mut out);
        }
        mask.finish(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_value_that_a_step_names_is_masked_from_then_on() {
        let text = b"hidden\n::add-mask::hidden\r\n<hidden> sesame\n::add-mask::to%0Athe%25end\n\
            to%0Athe%25end the%end";
        let expected = "hidden\n::add-mask::***\n<***> ***\n::add-mask::***\n*** ***";
        assert_eq!(masked(&[text]), expected);
    }

    #[test]
    fn only_a_line_that_is_the_command_is_one() {
        let text = " ::add-mask::one1\n::add-mask:two2\n::Add-Mask::three\nx::add-mask::four\n";
        assert_eq!(masked(&[text.as_bytes()]), text);
        assert_eq!(masked(&[b"::add-m"]), "::add-m");
        assert_eq!(masked(&[b"::add-mask::last"]), "::add-mask::***");
    }

    #[test]
    fn a_value_that_cannot_be_masked_is_said_to_be_so() {
        let text = masked(&[b"::add-mask::abc\nabc\n"]);
        let warning = "##[warning] the value is not masked: it has less than 4 bytes";
        assert_eq!(text, format!("::add-mask::***\n{warning}\nabc\n"));
        let long = [b"::add-mask::".as_slice(), &[b'x'; ADDED_BYTES_MAX * 3], b"\nabc"].concat();
        let text = masked(&[&long]);
        assert!(text.contains("not masked: a job can name") && text.len() < 200, "{text}");
    }

    #[test]
    fn another_process_of_the_job_can_name_what_this_one_has_begun_to_write() {
        let secrets = Secrets::new([&b"sesame"[..]]);
        let (mut one, mut other) = (LogMask::new(Arc::clone(&secrets)), LogMask::new(secrets));
        let (mut out, mut unread) = (Vec::new(), Vec::new());
        one.push(b"ses", &mut out);
        other.push(b"::add-mask::seskin\n", &mut unread);
        one.push(b"kin ses", &mut out);
        one.finish(&mut out);
        assert_eq!(out, b"*** ses");
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_output_is_cut(
            parts in prop::collection::vec("::add-mask::[a-c]{3,6}\r?\n|[a-c:\n]{0,9}|sesame", 0..9),
            size in 1_usize..20,
        ) {
            let text = parts.concat();
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            prop_assert_eq!(masked(&pieces), masked(&[text.as_bytes()]));
        }
    }
}
