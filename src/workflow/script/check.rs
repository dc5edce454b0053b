//! Whether a value may stand in a place of a simple command, by the words before it.
//!
//! The lists name what reads its arguments, or its standard input, a second time. They are for what a careful
//! author may do by mistake; a program that runs what its arguments say under a name of its own is not known.

use super::scan::Becomes;

/// Commands that read an argument as a command, as a program, as arithmetic, or as a name of a variable, where a
/// subscript is arithmetic.
const READERS: &[&str] = &[
    "eval",
    "source",
    ".",
    "trap",
    "ssh",
    "xargs",
    "parallel",
    "su",
    "runuser",
    "watch",
    "script",
    "sed",
    "gsed",
    "awk",
    "gawk",
    "mawk",
    "nawk",
    "m4",
    "dc",
    "at",
    "batch",
    "crontab",
    "let",
    "alias",
    "complete",
    "compgen",
    "bind",
    "enable",
    "mapfile",
    "readarray",
    "read",
    "unset",
    "getopts",
    "wait",
    "osascript",
    "expect",
    "tclsh",
];

/// Commands that carry out what they read from their standard input.
const STDIN_READERS: &[&str] = &[
    "source",
    ".",
    "ssh",
    "xargs",
    "parallel",
    "su",
    "runuser",
    "at",
    "batch",
    "crontab",
    "script",
    "m4",
    "dc",
    "osascript",
    "expect",
    "tclsh",
];

/// Programs that carry out a script, or text behind an option.
const INTERPRETERS: &[&str] = &[
    "sh",
    "bash",
    "dash",
    "ash",
    "zsh",
    "ksh",
    "mksh",
    "fish",
    "python",
    "python2",
    "python3",
    "perl",
    "ruby",
    "node",
    "nodejs",
    "deno",
    "bun",
    "php",
    "lua",
    "pwsh",
    "powershell",
    "Rscript",
];

/// Commands whose arguments are another command.
const WRAPPERS: &[&str] = &[
    "sudo", "doas", "env", "exec", "command", "builtin", "nohup", "time", "nice", "ionice",
    "stdbuf", "setsid", "timeout", "chroot", "unshare", "flock", "strace", "busybox", "coproc",
    "xvfb-run", "unbuffer", "fakeroot", "gosu",
];

/// Commands that take names of variables, or assignments to them.
const DECLARERS: &[&str] = &["export", "readonly", "declare", "typeset", "local"];

/// Variables whose values a shell carries out.
const CARRIED_OUT: &[&str] = &["PS0", "PS1", "PS2", "PS4", "PROMPT_COMMAND", "BASH_ENV", "ENV"];

const COMMAND: &str = "a value would be the name of a command, or a part of it";
const WRAPPED: &str = "which command is carried out cannot be told from the words before it";
const VAGUE: &str =
    "a word before it may turn out to be none, or several; put it into double quotes";
const UNKNOWN: &str = "nobody knows which command it is that reads the value";
const NAME: &str = "a value would be the name of a variable, or a part of it";
const AGAIN: &str = "the command reads its arguments a second time";
const CODE: &str = "a value would become a part of what an interpreter carries out";
const FORMAT: &str = "the first argument of `printf` is read as options and a format";
const TEST: &str = "`test` may take the value for one of its operators";
const WORDS: &str = "`for` and `select` want a name and `in` before the values";
pub(super) const PIPED: &str = "what is written goes to a command that carries it out";

/// A word of a command.
#[derive(Clone, Default, Debug)]
pub(super) struct Word {
    /// Its text without quotes; of values, nothing.
    pub(super) text: String,
    /// Whether any of it was quoted.
    pub(super) quoted: bool,
    /// Whether there is any letter in it that stays one.
    pub(super) literal: bool,
    /// Whether there is a value in it.
    pub(super) holes: bool,
    /// Whether there is anything of it.
    pub(super) begun: bool,
}

impl Word {
    /// Whether it may turn out to be no word, or several.
    fn is_vague(&self) -> bool {
        !self.quoted && !self.literal
    }

    /// Whether nobody knows which command it is the name of.
    fn is_unknown(&self) -> bool {
        self.is_vague() || base(&self.text).contains('$')
    }
}

/// The last part of a path.
fn base(text: &str) -> &str {
    text.rsplit('/').next().unwrap_or(text)
}

/// The words from the command that is carried out: those behind `sudo` and the like. `None` where that cannot be
/// known, because options may have operands.
fn resolved(mut words: &[Word]) -> Option<&[Word]> {
    while let Some(first) = words.first().filter(|it| WRAPPERS.contains(&base(&it.text))) {
        let wrapper = base(&first.text);
        if wrapper == "coproc" {
            return None;
        }
        words = &words[1..];
        while let Some(option) = words.first() {
            let text = option.text.as_str();
            if option.is_vague() {
                return None;
            }
            let alone = match wrapper {
                _ if text == "--" => true,
                "sudo" => matches!(text, "-E" | "-H" | "-n" | "-S" | "--preserve-env"),
                "env" => matches!(text, "-i" | "-"),
                "time" => text == "-p",
                "stdbuf" => text.len() > 2 && text.starts_with('-') && !text.starts_with("--"),
                _ => false,
            };
            let assigned =
                matches!(wrapper, "sudo" | "env" | "time") && assigned_name(text).is_some();
            if text.starts_with('-') && !alone {
                return None;
            }
            if !alone && !assigned {
                break;
            }
            words = &words[1..];
        }
        if matches!(wrapper, "timeout" | "chroot" | "flock" | "gosu") {
            if words.first().is_some_and(Word::is_vague) {
                return None;
            }
            words = words.get(1..).unwrap_or_default();
        }
    }
    Some(words)
}

/// The name in `NAME=`, `NAME+=` or `NAME[..]=`.
pub(super) fn assigned_name(text: &str) -> Option<&str> {
    let (name, _) = text.split_once('=')?;
    let name = name.strip_suffix('+').unwrap_or(name);
    let name = match name.split_once('[') {
        Some((name, subscript)) if subscript.ends_with(']') => name,
        Some(_) => return None,
        None => name,
    };
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (plain && begins).then_some(name)
}

/// Whether an option has code behind it.
fn takes_code(option: &str) -> bool {
    if let Some(long) = option.strip_prefix("--") {
        return matches!(
            long.split('=').next(),
            Some("eval" | "print" | "command" | "rcfile" | "init-file")
        );
    }
    let letters = option.strip_prefix(['-', '+']).unwrap_or_default();
    letters.eq_ignore_ascii_case("command") || letters.contains(['c', 'e', 'E', 'r', 'p', 'R', 'B'])
}

/// Whether the words behind an interpreter say what it carries out, so that what follows are arguments.
fn has_script(words: &[Word]) -> bool {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = word.text.as_str();
        if word.is_vague() {
            return false;
        }
        if !text.starts_with(['-', '+']) {
            return true;
        }
        // What stands behind `-o` is an option's name.
        if text.ends_with(['o', 'O', 'W', 'X', 'I']) {
            words.next();
        }
    }
    false
}

/// What becomes of a value that is the next of a word, after these words of its command.
pub(super) fn place(words: &[Word], word: &Word) -> Becomes {
    if words.is_empty() {
        return match assigned_name(&word.text) {
            Some(name) if CARRIED_OUT.contains(&name) => Becomes::Fault(CODE),
            Some(_) => Becomes::Quoted,
            None if word.begun && word.text.contains(['[', '=']) => Becomes::Fault(NAME),
            None => Becomes::Fault(COMMAND),
        };
    }
    let whole = words;
    let Some(words) = resolved(words) else { return Becomes::Fault(WRAPPED) };
    let Some((first, before)) = words.split_first() else {
        let assigned = base(&whole[0].text) == "env" && assigned_name(&word.text).is_some();
        return if assigned { Becomes::Quoted } else { Becomes::Fault(COMMAND) };
    };
    if first.holes {
        return Becomes::Fault(COMMAND);
    }
    if first.is_unknown() {
        return Becomes::Fault(UNKNOWN);
    }
    let name = base(&first.text);
    // An interpreter further on, as in `docker exec X sh -c`.
    let inner = whole.iter().rposition(|it| INTERPRETERS.contains(&base(&it.text)));
    let code = whole.last().is_some_and(|it| it.is_vague() || takes_code(&it.text));
    if code && inner.is_some_and(|at| at + 1 < whole.len()) {
        return Becomes::Fault(CODE);
    }
    match name {
        _ if READERS.contains(&name) => Becomes::Fault(AGAIN),
        _ if before.iter().any(Word::is_vague) && wants_words(name) => Becomes::Fault(VAGUE),
        _ if INTERPRETERS.contains(&name) => {
            match has_script(before) && !word.text.starts_with('-') {
                true => Becomes::Reference,
                false => Becomes::Fault(CODE),
            }
        }
        _ if DECLARERS.contains(&name) => declared(before, word),
        "printf" => match before.first() {
            Some(format)
                if !format.is_vague() && !format.holes && !format.text.starts_with('-') =>
            {
                Becomes::Reference
            }
            Some(format) if format.text == "--" && before.get(1).is_some_and(|it| !it.holes) => {
                Becomes::Reference
            }
            _ => Becomes::Fault(FORMAT),
        },
        "test" | "[" => {
            let operator =
                |it: &Word| it.holes || it.text.starts_with("-v") || it.text.starts_with("-R");
            // Nobody means several words there, and an operator among them would be one.
            if before.last().is_some_and(operator) { Becomes::Fault(TEST) } else { Becomes::Quoted }
        }
        "for" | "select" => match before {
            [_, within, ..] if within.text == "in" => Becomes::Reference,
            _ => Becomes::Fault(WORDS),
        },
        "function" => Becomes::Fault(NAME),
        "find"
            if whole
                .last()
                .is_some_and(|it| it.text.starts_with("-exec") || it.text.starts_with("-ok")) =>
        {
            Becomes::Fault(COMMAND)
        }
        _ => Becomes::Reference,
    }
}

/// Whether it matters to a command which of its words a value is.
fn wants_words(name: &str) -> bool {
    matches!(name, "test" | "[") || DECLARERS.contains(&name)
}

/// `export NAME=..`, without an option that makes arithmetic of it or a name.
fn declared(before: &[Word], word: &Word) -> Becomes {
    let options = before.iter().filter(|it| it.text.starts_with(['-', '+']));
    let harmless = |it: &Word| !it.holes && it.text[1..].chars().all(|c| "xrgp-".contains(c));
    match assigned_name(&word.text) {
        Some(name) if CARRIED_OUT.contains(&name) => Becomes::Fault(CODE),
        Some(_) if options.into_iter().all(harmless) => Becomes::Quoted,
        Some(_) => Becomes::Fault("the variable may be one of arithmetic, a list or another name"),
        None => Becomes::Fault(NAME),
    }
}

/// Whether a command carries out what it reads.
pub(super) fn reads_commands(words: &[Word]) -> bool {
    let Some(words) = resolved(words) else { return true };
    let Some((first, rest)) = words.split_first() else { return false };
    if first.is_unknown() && !first.text.is_empty() {
        return true;
    }
    let name = base(&first.text);
    if STDIN_READERS.contains(&name) {
        return true;
    }
    let reads = |rest: &[Word]| {
        !has_script(rest) || rest.iter().any(|it| it.text == "-s" || it.text == "-")
    };
    if INTERPRETERS.contains(&name) {
        return reads(rest);
    }
    // `docker exec -i X bash`, `kubectl exec X -- sh -s`
    let inner = rest.iter().rposition(|it| INTERPRETERS.contains(&base(&it.text)));
    matches!(name, "docker" | "podman" | "kubectl" | "oc" | "nerdctl" | "lxc")
        && inner.is_some_and(|at| reads(&rest[at + 1..]))
}
