//! By which program a step's script is run.
//!
//! | `shell` | command |
//! | --- | --- |
//! | none | the runner's rule, see [`Shell`] |
//! | `bash` | `bash --noprofile --norc -eo pipefail {0}` |
//! | `sh` | `sh -e {0}` |
//! | `python` | `python3 {0}`, else `python {0}` |
//! | another | split into words, without a shell; one of them has `{0}`, the script's file |
//!
//! As GitHub has it, without those of Windows:
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell>.
//! The text is the workflow file's own: expressions are not filled in, so nothing from an event can
//! become a part of a command line.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::super::shell::{Shell, find_program};

/// Where the script's file belongs.
const FILE: &str = "{0}";
/// The most words of a command.
const WORDS_MAX: usize = 100;

/// A command that runs a script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ScriptCommand {
    pub(super) program: PathBuf,
    /// With `{0}` where the script's file belongs.
    arguments: Vec<String>,
    /// What the file's name must end with: some programs look at it.
    pub(super) ending: &'static str,
}

impl ScriptCommand {
    /// What the runner does with a script of which nothing is said.
    pub(super) fn of_runner(shell: &Shell) -> Self {
        let (program, arguments) = shell.parts();
        let arguments = arguments.iter().copied().chain([FILE]).map(str::to_owned).collect();
        Self { program: program.to_owned(), arguments, ending: "sh" }
    }

    /// What a step's `shell` asks for; programs are looked for on `path`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for people.
    pub(super) fn of_step(
        shell: &str,
        runner: &Shell,
        path: Option<&OsStr>,
    ) -> Result<Self, String> {
        let found = |name: &str| find_program(name, path);
        let missing = |what: &str| format!("`shell: {shell}`: there is no {what} on the PATH");
        match shell.trim() {
            "bash" => match runner {
                Shell::Bash(_) => Ok(Self::of_runner(runner)),
                Shell::Sh(_) => Err(missing("`bash`")),
            },
            "sh" => {
                let sh = find_program("sh", None).ok_or_else(|| missing("`sh`"))?;
                Ok(Self::of_runner(&Shell::Sh(sh)))
            }
            "python" => {
                let python = found("python3").or_else(|| found("python"));
                let program = python.ok_or_else(|| missing("`python3` or `python`"))?;
                Ok(Self { program, arguments: vec![FILE.to_owned()], ending: "py" })
            }
            other if other.contains(FILE) => {
                let mut words = words(other)?.into_iter();
                let name = words.next().filter(|name| !name.contains(FILE));
                let name = name.ok_or_else(|| format!("`shell: {shell}` names no program"))?;
                let arguments: Vec<String> = words.collect();
                let program = found(&name).ok_or_else(|| missing(&format!("`{name}`")))?;
                Ok(Self { ending: ending(&name), program, arguments })
            }
            _ => Err(format!(
                "`shell: {shell}` is not known here: use bash, sh, python, or a command with {FILE} \
                 for the script's file"
            )),
        }
    }

    /// The arguments that run this script.
    pub(super) fn arguments(&self, script: &Path) -> Vec<String> {
        // The file's name is the runner's own, and its work folder was given as text.
        let script = script.to_string_lossy();
        self.arguments.iter().map(|word| word.replace(FILE, &script)).collect()
    }
}

/// What a program wants its script to be called.
fn ending(program: &str) -> &'static str {
    let name = program.rsplit('/').next().unwrap_or(program);
    match name {
        "pwsh" | "powershell" => "ps1",
        _ if name.starts_with("python") => "py",
        _ => "sh",
    }
}

/// A command's words: parted by white space, but for what stands in quotes.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in text.chars() {
        match quote {
            Some(end) if c == end => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if quote.is_some() {
        return Err(format!("`shell: {text}` has a quote that is not closed"));
    }
    if words.len() > WORDS_MAX {
        return Err(format!("a `shell` has more than {WORDS_MAX} words"));
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_shell_has_its_command_and_an_unknown_one_is_told_with_a_list() {
        let folder = tempfile::tempdir().expect("tempdir");
        for name in ["python3", "perl", "pwsh"] {
            let file = folder.path().join(name);
            std::fs::write(&file, "").expect("written");
            std::fs::set_permissions(file, Permissions::from_mode(0o755)).expect("allowed");
        }
        let runner = Shell::Bash("/bin/bash".into());
        let path = folder.path().as_os_str();
        let told = |shell: &str| match ScriptCommand::of_step(shell, &runner, Some(path)) {
            Ok(it) => {
                let name = it.program.file_name().expect("a name").to_string_lossy();
                format!("{name} {} .{}", it.arguments(Path::new("/s")).join("|"), it.ending)
            }
            Err(error) => error,
        };
        let table = [
            ("bash", "bash --noprofile|--norc|-eo|pipefail|/s .sh"),
            ("sh", "sh -e|/s .sh"),
            ("python", "python3 /s .py"),
            ("perl -w '-e do \"{0}\"'", "perl -w|-e do \"/s\" .sh"),
            ("pwsh -File {0}", "pwsh -File|/s .ps1"),
            ("ruby {0}", "`shell: ruby {0}`: there is no `ruby` on the PATH"),
            ("{0}", "`shell: {0}` names no program"),
            ("perl '{0}", "`shell: perl '{0}` has a quote that is not closed"),
            (
                "cmd",
                "`shell: cmd` is not known here: use bash, sh, python, or a command with {0} for \
                 the script's file",
            ),
        ];
        for (shell, expected) in table {
            assert_eq!(told(shell), expected, "{shell}");
        }
        let only_sh = Shell::Sh("/bin/sh".into());
        let error = ScriptCommand::of_step("bash", &only_sh, None).expect_err("no bash");
        assert_eq!(error, "`shell: bash`: there is no `bash` on the PATH");
    }

    proptest! {
        #[test]
        fn a_text_without_quotes_is_parted_at_white_space(text in "[a-z$;|&` \t]{0,40}") {
            let expected: Vec<&str> = text.split_whitespace().collect();
            prop_assert_eq!(words(&text), Ok(expected.into_iter().map(str::to_owned).collect()));
        }
    }
}
