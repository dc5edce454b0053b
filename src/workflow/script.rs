//! Scripts with expressions in them, rewritten so that no value becomes a part of a script.
//!
//! GitHub puts values into the text of a `run:`, and the shell then reads them as its own: a title of
//! `$(touch x)` is carried out. Its page advises an environment variable in between:
//! <https://docs.github.com/en/actions/concepts/security/script-injections>. Here that is what happens:
//! in a script for bash or sh an expression becomes a reference to a variable `DISPATCHYARD_EXPR_<n>`, whose value
//! is what the expression comes to. What a shell makes of the reference depends on its place:
//!
//! | place | becomes |
//! | --- | --- |
//! | in double quotes, here-documents and `$( )` in them | `${V}` |
//! | as a word, or a part of one | `${V}`: split at blanks and globbed, as GitHub's would be |
//! | as what is assigned: `NAME=..`, `export NAME=..` | `"${V}"`: a shell splits nothing there |
//! | in single quotes | `'"${V}"'` |
//! | in a comment | nothing |
//!
//! A word stays split because workflows rely on it: `make ${{ matrix.flags }}` means several arguments. Unlike in
//! GitHub's text, quotes and operators in a value mean nothing.
//!
//! Where a value would be read a second time, as a command or as arithmetic, or where that cannot be known, the
//! script is refused with the place and the way out. In shells that are not read here every such expression is.
//!
//! What certainly comes to something plain (a number of this server, a comparison, text of the script's author)
//! stays in the text; [`Script::fill`] puts it in and looks at it once more.
//!
//! Not here: what a script does with a value later. `X="${V}"; eval "$X"` is its author's to answer for, and so is
//! what it writes to a file that is carried out, or read as variables.

mod check;
mod commands;
mod cx;
mod document;
mod scan;

use std::collections::BTreeMap;
use std::ops::Range;

use crate::expression::{EvalError, Expression, Piece, Scope, Template, text_of};

use scan::{Becomes, Hole};

/// The begin of the names of variables.
const VARIABLE: &str = "DISPATCHYARD_EXPR_";

/// Paths whose values are of the server's making, or are plain if they are what they are called.
const PLAIN: &[&str] = &[
    "github.sha",
    "github.run_id",
    "github.run_number",
    "github.run_attempt",
    "github.event_name",
    "github.event.number",
    "github.event.issue.number",
    "github.event.pull_request.number",
    "runner.os",
    "runner.arch",
    "strategy.job-index",
    "strategy.job-total",
    "job.status",
];

/// What reads a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shell {
    /// `bash`, and where nothing is said.
    Bash,
    /// `sh`.
    Sh,
    /// `python`.
    Python,
    /// Anything else.
    Other,
}

impl Shell {
    /// By a step's `shell:`: the program that it begins with.
    pub fn of(shell: Option<&str>) -> Self {
        let program = shell.map_or("bash", |it| it.split_whitespace().next().unwrap_or("bash"));
        match program.rsplit('/').next().unwrap_or(program) {
            "bash" => Self::Bash,
            "sh" | "dash" => Self::Sh,
            "python" | "python3" => Self::Python,
            _ => Self::Other,
        }
    }
}

/// What becomes of expressions whose values come from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Policy {
    /// They come by environment variables.
    #[default]
    Environment,
    /// They are refused.
    Refuse,
}

/// A script that no value from outside becomes a part of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    /// The script. What is left of `${{ }}` in it comes to something plain; fill it with [`Script::fill`].
    pub text: String,
    /// The variables that it needs, with the `${{ }}` that each has the value of.
    pub env: Vec<(String, String)>,
}

/// Why a script is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScriptFault {
    /// Where, in bytes from the start of the script.
    pub at: usize,
    /// What is wrong.
    pub message: String,
    /// What to write in its place.
    pub hint: String,
}

/// Why the text of a script cannot be filled.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FillError {
    /// An expression comes to nothing.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// What should be plain is not.
    #[error(
        "`{0}` has a value with other than letters, digits and `-_.`: it may not become part of a \
         script; put it into the step's `env` and read the variable"
    )]
    NotPlain(String),
}

impl Script {
    /// The script with the values of what is left in it.
    ///
    /// # Errors
    ///
    /// [`FillError`]: one of them comes to nothing, or to what is not as plain as it must be.
    pub fn fill(&self, scope: &Scope<'_>) -> Result<String, FillError> {
        let Ok(template) = Template::parse(&self.text) else { return Ok(self.text.clone()) };
        for path in template.uses().paths.iter().filter(|path| is_plain(path)) {
            let Ok(read) = Expression::parse(path) else { continue };
            let value = text_of(&read.evaluate(scope)?);
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if !value.chars().all(plain) {
                return Err(FillError::NotPlain(path.clone()));
            }
        }
        Ok(template.text(scope)?)
    }
}

fn is_plain(path: &str) -> bool {
    PLAIN.contains(&path)
}

/// Rewrites the script of a `run:`. One without expressions is returned as it is.
///
/// # Errors
///
/// Every place where an expression may not stand, in their order.
pub fn rewrite(run: &str, shell: Shell, policy: Policy) -> Result<Script, Vec<ScriptFault>> {
    let template = Template::parse(run).map_err(|error| {
        let hint = error.hint.unwrap_or_else(|| "write `${{ expression }}`".to_owned());
        vec![ScriptFault { at: error.at, message: error.message, hint }]
    })?;
    if template.is_literal() {
        return Ok(Script { text: run.to_owned(), env: Vec::new() });
    }
    let mut holes = Vec::new();
    for piece in template.pieces() {
        if let Piece::Expression { expression, at } = piece {
            holes.push(Hole { expression, at: at.clone(), plain: expression.is_plain(&is_plain) });
        }
    }
    let read = matches!((shell, policy), (Shell::Bash | Shell::Sh, Policy::Environment));
    let becomes = match read {
        true if declares_numbers(run) => {
            let refused = "a variable of the script is a number, so what is assigned is arithmetic";
            let one =
                |hole: &Hole<'_>| if hole.plain { Becomes::Kept } else { Becomes::Fault(refused) };
            holes.iter().map(one).collect()
        }
        true => scan::scan(run, &holes),
        false => holes.iter().map(|hole| unread(hole, shell)).collect(),
    };
    let mut faults = Vec::new();
    for (hole, becomes) in holes.iter().zip(&becomes) {
        if let Becomes::Fault(why) = becomes {
            faults.push(fault(hole, why, shell));
        }
    }
    if faults.is_empty() { Ok(assembled(run, &holes, &becomes)) } else { Err(faults) }
}

/// Whether a script may declare a variable as a number: a shell then reads what is assigned to it as arithmetic,
/// anywhere in the script.
fn declares_numbers(run: &str) -> bool {
    let declarers = ["declare", "typeset", "local", "readonly", "export"];
    let separators = [';', '&', '|', '(', ')', '{', '}', '`'];
    let mut commands = run.split('\n').flat_map(|line| line.split(separators));
    commands.any(|command| {
        let mut words = command.split_whitespace().skip_while(|word| !declarers.contains(word));
        words.next().is_some()
            && words.any(|word| {
                word.starts_with(['-', '+']) && (word.contains('i') || word.contains('$'))
            })
    })
}

/// What becomes of an expression in a script that is not read, or where none is wanted.
fn unread(hole: &Hole<'_>, shell: Shell) -> Becomes {
    match (hole.plain, shell) {
        (true, _) => Becomes::Kept,
        (false, Shell::Bash | Shell::Sh) => {
            Becomes::Fault("values from outside are refused in scripts")
        }
        (false, Shell::Python) => Becomes::Fault("a value would become a part of the program"),
        (false, Shell::Other) => Becomes::Fault("a value would become a part of the script"),
    }
}

fn fault(hole: &Hole<'_>, why: &str, shell: Shell) -> ScriptFault {
    let name = variable_for(hole.expression);
    let read = match shell {
        Shell::Bash | Shell::Sh => format!("\"${name}\""),
        Shell::Python => format!("os.environ[\"{name}\"]"),
        Shell::Other => format!("the environment variable {name}"),
    };
    let message = format!("`${{{{ {} }}}}`: {why}", hole.expression);
    let hint = format!(
        "put `{name}: ${{{{ {} }}}}` under the step's `env` and use {read} where it is read only once",
        hole.expression
    );
    ScriptFault { at: hole.at.start, message, hint }
}

/// A name for a variable with the value of an expression, after what the expression ends with.
fn variable_for(expression: &Expression) -> String {
    let paths = expression.uses().paths;
    let last = paths.first().and_then(|path| path.rsplit('.').find(|it| *it != "*"));
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = last.unwrap_or("value").chars().map(plain).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("VALUE_{name}") } else { name }
}

fn assembled(run: &str, holes: &[Hole<'_>], becomes: &[Becomes]) -> Script {
    let mut variables: BTreeMap<String, usize> = BTreeMap::new();
    let mut script = Script { text: String::with_capacity(run.len()), env: Vec::new() };
    let mut from = 0;
    for (hole, becomes) in holes.iter().zip(becomes) {
        let Range { start, end } = hole.at.clone();
        script.text.push_str(&run[from..start]);
        from = end;
        let (before, after) = match becomes {
            Becomes::Kept => {
                script.text.push_str(&run[start..end]);
                continue;
            }
            Becomes::Dropped | Becomes::Fault(_) => continue,
            Becomes::Reference => ("${", "}"),
            Becomes::Quoted => ("\"${", "}\""),
            Becomes::Reopened => ("'\"${", "}\"'"),
        };
        let source = hole.expression.to_string();
        let next = variables.len() + 1;
        let number = *variables.entry(source.clone()).or_insert(next);
        let name = format!("{VARIABLE}{number}");
        script.text.extend([before, &name, after]);
        if number == next {
            script.env.push((name, format!("${{{{ {source} }}}}")));
        }
    }
    script.text.push_str(&run[from..]);
    script
}

#[cfg(test)]
mod tests;
