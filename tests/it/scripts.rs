//! Rewritten scripts, run by real shells with hostile values: they print the values and do nothing else.

use std::path::Path;
use std::process::{Command, Stdio};

use dispatchyard::workflow::script::{Policy, Script, Shell, rewrite};
use proptest::prelude::*;

/// What nobody may make.
const CANARY: &str = "canary";

/// Values as an attacker would send them.
const HOSTILE: &[&str] = &[
    "",
    "plain",
    "two words",
    " ",
    "'",
    "\"",
    "'; touch canary; '",
    "\"; touch canary; \"",
    "$(touch canary)",
    "`touch canary`",
    "\"$(touch canary)\"",
    "'$(touch canary)'",
    "; touch canary",
    "&& touch canary #",
    "| touch canary",
    "\ntouch canary\n",
    "E\ntouch canary\n",
    "a\nb",
    "-n",
    "-e",
    "--",
    "*",
    "[a-z]*",
    "~",
    "%s%n%d",
    "\\",
    "\\n\\0041",
    "${HOME}",
    "${DISPATCHYARD_EXPR_1}",
    "$((1+1))",
    "a[$(touch canary)]",
    "x[$(touch canary)]=1",
    "-v a[$(touch canary)]",
    "() { :; }; touch canary",
    "{a,b}",
    "!!",
    "é\u{2028}🎈",
    "}}; touch canary; {{",
    "(touch canary)",
    "> canary",
];

/// The shells that are there.
fn shells() -> Vec<(&'static str, Shell)> {
    let all = [("bash", Shell::Bash), ("sh", Shell::Sh)];
    let there = |name: &str| Path::new("/bin").join(name).exists();
    all.into_iter().filter(|(name, _)| there(name)).collect()
}

/// What a script prints in a folder of its own, which must stay empty; each variable has the value.
fn printed(program: &str, script: &Script, value: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &script.text).unwrap();
    let mut command = Command::new(program);
    command.arg(file.path()).current_dir(folder.path()).stdin(Stdio::null());
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder.path());
    command.envs(script.env.iter().map(|(name, _)| (name, value)));
    let output = command.output().unwrap();
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{program} made {left:?} of {value:?} with\n{}", script.text);
    String::from_utf8(output.stdout).unwrap()
}

/// The script with the expression in place of `X`, if it is not refused.
fn rewritten(run: &str, shell: Shell) -> Option<Script> {
    rewrite(&run.replace('X', "${{ inputs.value }}"), shell, Policy::Environment).ok()
}

/// Scripts that print the value between brackets.
const EXACT: &[&str] = &[
    "printf '[%s]' \"X\"",
    "printf '[%s]' 'X'",
    "printf '[%s]' \"\"'X'\"\"",
    "printf '[%s]' \"$(printf '%s.' 'X' | sed 's/[.]$//')\" | cat",
    "A=X; printf '[%s]' \"$A\"",
    "A='X' ; printf '[%s]' \"$A\"",
    "export A=X; printf '[%s]' \"$A\"",
    "printf '['; cat <<E | tr -d '\\001' ; printf ']'\nX\u{1}\nE",
    "if [ X = \"X\" ]; then printf '[%s]' \"X\"; fi",
    "case \"X\" in *) printf '[%s]' \"X\";; esac",
    "f() { printf '[%s]' \"$1\"; }; f \"X\" # X",
    "env A=X sh -c 'printf \"[%s]\" \"$A\"'",
    "sh -c 'printf \"[%s]\" \"$1\"' _ \"X\"",
    "(printf '[%s]' \"X\")",
    "for a in \"X\"; do printf '[%s]' \"$a\"; done",
];

#[test]
fn a_value_is_printed_as_it_is_and_nothing_else_is_done() {
    for (program, shell) in shells() {
        for run in EXACT {
            let script = rewritten(run, shell).unwrap_or_else(|| panic!("refused: {run}"));
            for value in HOSTILE {
                let said = printed(program, &script, value);
                // A here-document ends with a line's end.
                let said = if run.contains("<<E") { said.replace("\n]", "]") } else { said };
                // `$( )` takes the last lines' ends off.
                let expected = format!("[{value}]");
                let expected = if run.contains("$(") && value.ends_with('\n') {
                    format!("[{}]", value.trim_end_matches('\n'))
                } else {
                    expected
                };
                assert_eq!(said, expected, "{program}: {run}");
            }
        }
    }
}

#[test]
fn a_word_is_split_and_globbed_but_never_carried_out() {
    for (program, shell) in shells() {
        for run in ["printf '[%s]' X", "for a in X; do printf '[%s]' \"$a\"; done"] {
            let script = rewritten(run, shell).unwrap();
            assert_eq!(printed(program, &script, "-j 4 --fast"), "[-j][4][--fast]");
            for value in HOSTILE {
                printed(program, &script, value);
            }
        }
    }
}

/// Pieces of scripts that do nothing but print, with whatever quotes around them.
const PIECES: &[&str] = &[
    "X",
    "X",
    "X",
    "'X'",
    "\"X\"",
    " ",
    " ",
    "\n",
    "\n",
    ";",
    "|",
    "&&",
    "'",
    "\"",
    "`",
    "$(",
    ")",
    "(",
    "{ ",
    "; }",
    "$",
    "${",
    "}",
    "$((",
    "))",
    "((",
    "[[ ",
    " ]]",
    "[ ",
    " ]",
    "-eq",
    " -v ",
    "==",
    "=",
    "A=",
    "A[",
    "]",
    "a=(",
    "echo ",
    "printf ",
    "printf '%s' ",
    "test ",
    "eval ",
    "bash -c ",
    "bash ",
    "sh -s ",
    "export ",
    "declare ",
    "-i ",
    "local ",
    "let ",
    "unset ",
    "read ",
    "trap ",
    " EXIT",
    ": ",
    "cat ",
    "<<E",
    "<<'E'",
    "\nE\n",
    "<<<",
    "# ",
    "\\",
    "case ",
    " in ",
    ";;",
    "esac",
    "for a in ",
    "; do ",
    "; done",
    "if ",
    "then ",
    "fi",
    "$'",
    "env ",
    "command ",
    "exec ",
    "A=1 ",
    "1",
    "a",
    "<(",
    "$[",
    "~",
    "f() ",
    "sed -n ",
    "awk ",
    "\"$A\" ",
    "$A ",
    "+",
    "!",
    " - ",
    ". ",
    "source ",
];

/// Values that do something wherever they are read a second time.
const TRIGGERS: &[&str] = &[
    "$(touch canary)",
    "`touch canary`",
    "touch canary",
    ";touch canary;",
    "a[$(touch canary)]",
    "-v a[$(touch canary)]",
    "-va[$(touch canary)]",
    "a[$(touch canary)]=1",
    "'\"; touch canary; \"'",
    "1 w canary",
    "BEGIN{system(\"touch canary\")}",
];

/// How often a random script is tried; `SCRIPT_RUNS` for longer.
fn config() -> ProptestConfig {
    let runs = std::env::var("SCRIPT_RUNS").ok().and_then(|it| it.parse().ok());
    let cases = runs.unwrap_or(300);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Words of a command.
const WORDS: &[&str] = &[
    "X", "X", "\"X\"", "'X'", "a-X", "Xb", "\"a X\"", "\"'X'\"", "a", "1", "$A", "\"$A\"", "-eq",
    "=", "-v", "-e", "-c", "A=X", "A=\"X\"", "a[X]", "${A:-X}", "$((X))", "'%s'", "\\X", "$'X'",
    "*X*", "{X,b}", "-", "-s", "~X",
];

/// Begins of commands.
const NAMES: &[&str] = &[
    "echo",
    "printf",
    "printf %s",
    "test",
    "eval",
    "bash",
    "bash -c",
    "sh -c 'echo \"$1\"' _",
    "export",
    "declare",
    "declare -i",
    "local",
    "let",
    "unset",
    "read",
    "trap",
    "cat",
    ":",
    "env",
    "command",
    "exec",
    "sed -n",
    "awk",
    "sudo",
    "time",
    "time -p",
    "find . -exec",
    "! ",
    "A=1",
    "A=X",
    "a=(X [1]=X);",
    "cd",
    "exit",
    "readonly",
    "builtin",
    "printf -v a",
    "xargs",
    "",
];

/// A word, which may have commands in it.
fn words(commands: BoxedStrategy<String>) -> BoxedStrategy<String> {
    prop_oneof![
        8 => prop::sample::select(WORDS).prop_map(str::to_owned),
        1 => commands.clone().prop_map(|it| format!("$({it}\n)")),
        1 => commands.clone().prop_map(|it| format!("\"$({it}\n)\"")),
        1 => commands.prop_map(|it| format!("<({it}\n)")),
    ]
    .boxed()
}

/// Commands with others in them.
fn compound(inner: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let word = words(inner.clone());
    let list = prop::collection::vec(word.clone(), 0..4).prop_map(|it| it.join(" "));
    let signs = prop::sample::select(vec!["=", "==", "!=", "-eq", "-lt", "=~", "-o", "<"]);
    let two = (inner.clone(), inner.clone());
    let compared = (word.clone(), signs, word.clone());
    let simple = (prop::sample::select(NAMES), list.clone());
    prop_oneof![
        6 => simple.prop_map(|(name, list)| format!("{name} {list}")),
        1 => compared.clone().prop_map(|(a, sign, b)| format!("[ {a} {sign} {b} ]")),
        1 => compared.prop_map(|(a, sign, b)| format!("[[ {a} {sign} {b} ]]")),
        1 => word.clone().prop_map(|it| format!("(( {it} ))")),
        1 => two.clone().prop_map(|(a, b)| format!("{a} | {b}")),
        1 => inner.clone().prop_map(|it| format!("{it} | bash")),
        1 => two.clone().prop_map(|(a, b)| format!("{a}; {b}")),
        1 => two.prop_map(|(a, b)| format!("if {a}\nthen {b}\nfi")),
        1 => inner.clone().prop_map(|it| format!("{{ {it}\n}}")),
        1 => inner.clone().prop_map(|it| format!("({it}\n)")),
        1 => (word.clone(), word.clone(), inner.clone())
            .prop_map(|(a, b, it)| format!("case {a} in {b}) {it};; X) echo X;; esac")),
        1 => (list, inner.clone()).prop_map(|(list, it)| format!("for a in {list}; do {it}\ndone")),
        1 => inner.clone().prop_map(|it| format!("f() {{ {it}\n}}; f X")),
        1 => inner.clone().prop_map(|it| format!("{it} <<E\nX 'X' $(echo 'X')\nE\n")),
        1 => (inner.clone(), word.clone()).prop_map(|(it, word)| format!("{it} <<< {word}")),
        1 => (inner, word).prop_map(|(it, word)| format!("A={word} {it}")),
    ]
    .boxed()
}

/// Scripts that are mostly understood, and any heap of pieces.
fn scripts() -> impl Strategy<Value = String> {
    let leaf = Just("echo X".to_owned());
    let pieces = prop::collection::vec(prop::sample::select(PIECES), 1..14);
    prop_oneof![
        3 => leaf.prop_recursive(3, 12, 3, |inner| compound(inner.boxed())),
        1 => pieces.prop_map(|it| it.concat()),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_is_not_refused_carries_no_value_out(
        run in scripts(),
        value in prop::sample::select(TRIGGERS),
    ) {
        // What the script says by itself makes no file: a `>` is not among its pieces.
        prop_assert!(!run.contains(CANARY));
        if let Some(script) = rewritten(&run, Shell::Bash) {
            printed("bash", &script, value);
        }
    }

    #[test]
    fn any_value_is_printed_as_it_is(value in "[^\\x00]{0,40}") {
        let script = rewritten("printf '[%s]' \"X\"\"\"'X'", Shell::Bash).unwrap();
        prop_assert_eq!(printed("bash", &script, &value), format!("[{value}{value}]"));
    }
}
