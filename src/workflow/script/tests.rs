//! What becomes of expressions in scripts. That a real shell then prints the values, and does nothing else, is in
//! `tests/it/scripts.rs`.

mod refused;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn bash(run: &str) -> String {
    match rewrite(run, Shell::Bash, Policy::Environment) {
        Ok(script) => script.text,
        Err(faults) => {
            let told = faults.iter().map(|it| format!("{}: {}", it.at, it.message));
            told.collect::<Vec<_>>().join("\n")
        }
    }
}

/// The text with `X` for the one expression of the tests.
fn short(run: &str) -> String {
    bash(&run.replace('X', "${{ github.head_ref }}")).replace("${DISPATCHYARD_EXPR_1}", "V")
}

fn becomes(table: &[(&str, &str)]) {
    for (run, expected) in table {
        assert_eq!(short(run), *expected, "{run}");
    }
}

#[test]
fn a_script_without_expressions_is_as_it_was() {
    for run in ["", "make", "echo '$ {{ x }}' \"}}\"", "cat <<'E'\n$(x)\nE"] {
        let script = rewrite(run, Shell::Other, Policy::Refuse).unwrap();
        assert_eq!(script, Script { text: run.to_owned(), env: vec![] });
    }
}

#[test]
fn an_expression_is_one_variable_wherever_it_stands() {
    let run = "echo \"${{ github.head_ref }}\" '${{GITHUB.head_ref}}' ${{ inputs.flags }} \
               ${{ github.run_id }} # ${{ secrets.a }}";
    let script = rewrite(run, Shell::Bash, Policy::Environment).unwrap();
    insta::assert_snapshot!(script.text, @r#"echo "${DISPATCHYARD_EXPR_1}" ''"${DISPATCHYARD_EXPR_1}"'' ${DISPATCHYARD_EXPR_2} ${{ github.run_id }} #"#);
    insta::assert_debug_snapshot!(script.env, @r#"
    [
        (
            "DISPATCHYARD_EXPR_1",
            "${{ github.head_ref }}",
        ),
        (
            "DISPATCHYARD_EXPR_2",
            "${{ inputs.flags }}",
        ),
    ]
    "#);
}

#[test]
fn quotes_decide_what_a_reference_looks_like() {
    becomes(&[
        ("echo \"X\"", "echo \"V\""),
        ("echo \"a 'X' b\"", "echo \"a 'V' b\""),
        ("echo X", "echo V"),
        ("echo a-X/b", "echo a-V/b"),
        ("echo 'X'", "echo ''\"V\"''"),
        ("echo 'it is \"X\"'", "echo 'it is \"'\"V\"'\"'"),
        ("A=X", "A=\"V\""),
        ("A=b-X-c make", "A=b-\"V\"-c make"),
        ("A=\"X\"", "A=\"V\""),
        ("A='X'", "A=''\"V\"''"),
        ("A[1]=X", "A[1]=\"V\""),
        ("A=(X \"X\" 'X')", "A=(V \"V\" ''\"V\"'')"),
        ("export A=X", "export A=\"V\""),
        ("export \"A=X\"", "export \"A=V\""),
        ("local -r a=X", "local -r a=\"V\""),
        ("echo $HOME/X $$X ${HOME}X", "echo $HOME/V $$V ${HOME}V"),
        ("echo $(basename X) `basename X`", "echo $(basename V) `basename V`"),
        ("echo \"$(basename \"X\" 'X')\"", "echo \"$(basename \"V\" ''\"V\"'')\""),
        ("echo \\\\X \\'X", "echo \\\\V \\'V"),
        ("echo <(cat X) > X 2>X", "echo <(cat V) > V 2>V"),
        ("cat <<< X", "cat <<< V"),
        ("env A=X B=\"X\" make X", "env A=\"V\" B=\"V\" make V"),
    ]);
}

#[test]
fn here_documents_take_values_as_double_quotes_do() {
    becomes(&[
        (
            "cat <<E\n'X' \"X\" $(echo 'X')\nE\necho 'X'",
            "cat <<E\n'V' \"V\" $(echo ''\"V\"'')\nE\necho ''\"V\"''",
        ),
        ("cat <<-E > a\n\tX\n\tE\necho 'X'", "cat <<-E > a\n\tV\n\tE\necho ''\"V\"''"),
        ("cat <<A <<B\nX\nA\nX\nB\nmake X", "cat <<A <<B\nV\nA\nV\nB\nmake V"),
    ]);
}

#[test]
fn words_of_the_shell_are_no_commands() {
    becomes(&[
        ("if [ X = a ]; then make X; fi", "if [ \"V\" = a ]; then make V; fi"),
        (
            "if [[ X == a && -n \"X\" ]]; then make; fi",
            "if [[ V == a && -n \"V\" ]]; then make; fi",
        ),
        ("[ X = X ] && make X", "[ \"V\" = \"V\" ] && make V"),
        ("for a in X b; do echo \"$a\" X; done", "for a in V b; do echo \"$a\" V; done"),
        ("while ! make X; do true; done", "while ! make V; do true; done"),
        ("case X in a) make X;; X|b) echo 'X';; esac; echo X", {
            "case V in a) make V;; V|b) echo ''\"V\"'';; esac; echo V"
        }),
        ("A=$(case X in (a) echo X;; b) echo X; esac) make X", {
            "A=$(case V in (a) echo V;; b) echo V; esac) make V"
        }),
        ("f() { echo X; }\nf X", "f() { echo V; }\nf V"),
        ("(cd X && make) || echo X", "(cd V && make) || echo V"),
        ("make \\\n  X", "make \\\n  V"),
        ("make X | tee X", "make V | tee V"),
        ("printf '%s\\n' X \"X\"", "printf '%s\\n' V \"V\""),
        (
            "python x.py X; bash -e a.sh X; node a.js X",
            "python x.py V; bash -e a.sh V; node a.js V",
        ),
        ("bash -c 'echo \"$1\"' _ X", "bash -c 'echo \"$1\"' _ V"),
        ("sudo -E make X; sudo apt install X", "sudo -E make V; sudo apt install V"),
        ("echo a # X\necho 'X'", "echo a # \necho ''\"V\"''"),
        ("echo a#X", "echo a#V"),
        ("$HOME/run.sh X; \"$DIR/run\" X; echo $A X", "$HOME/run.sh V; \"$DIR/run\" V; echo $A V"),
    ]);
}

#[test]
fn plain_values_stay_where_they_are() {
    let stays = [
        "git checkout ${{ github.sha }}",
        "eval \"echo ${{ github.run_id }}\"",
        "a=${{ github.event.number }}; ((a + ${{ github.run_number }}))",
        "${{ github.ref == 'refs/heads/main' }} && make",
        "make ${{ github.ref == 'a' && 'live' || 'test' }}",
        "cat <<'E'\n${{ runner.os }}\nE",
        "echo ${{ contains(github.head_ref, 'a') }}-${{ 'text' }}",
    ];
    for run in stays {
        for shell in [Shell::Bash, Shell::Sh, Shell::Python, Shell::Other] {
            let script = rewrite(run, shell, Policy::Refuse).unwrap();
            assert_eq!((script.text.as_str(), script.env.len()), (run, 0), "{run}");
        }
    }
}

#[test]
fn what_should_be_plain_is_looked_at_when_it_is_there() {
    let run = "git checkout ${{ github.sha }} ${{ github.head_ref == 'a;b' }}";
    let script = rewrite(run, Shell::Bash, Policy::Environment).unwrap();
    let with = |sha: &str| {
        let github = json!({"sha": sha, "head_ref": "a;b"});
        script.fill(&Scope::new().with("github", &github)).map_err(|it| it.to_string())
    };
    assert_eq!(with("0123abc").unwrap(), "git checkout 0123abc true");
    assert_eq!(with("").unwrap(), "git checkout  true");
    insta::assert_snapshot!(with("$(touch x)").unwrap_err(), @"`github.sha` has a value with other than letters, digits and `-_.`: it may not become part of a script; put it into the step's `env` and read the variable");
    let nothing = script.fill(&Scope::new()).unwrap_err();
    assert_eq!(nothing.to_string(), "the context `github` is not available here");
}

#[test]
fn faults_have_the_safe_form() {
    let told = |run: &str, shell, policy| {
        let faults = rewrite(run, shell, policy).unwrap_err();
        let lines = faults.iter().map(|it| format!("{}: {}\n  {}", it.at, it.message, it.hint));
        lines.collect::<Vec<_>>().join("\n")
    };
    let title = "print('${{ github.event.issue.title }}')";
    let told = [
        told("a\neval ${{ github.head_ref }} ${{ inputs.a-b }}", Shell::Bash, Policy::Environment),
        told("echo ${{ github.head_ref }}", Shell::Sh, Policy::Refuse),
        told(title, Shell::Python, Policy::Environment),
        told(title, Shell::Other, Policy::Environment),
        told("echo ${{ gihub.ref }}", Shell::Bash, Policy::Environment),
        told("echo ${{ github.ref", Shell::Bash, Policy::Environment),
        told("eval ${{ toJSON(github.*) }}", Shell::Bash, Policy::Environment),
    ];
    insta::assert_snapshot!(told.join("\n"), @r#"
    7: `${{ github.head_ref }}`: the command reads its arguments a second time
      put `HEAD_REF: ${{ github.head_ref }}` under the step's `env` and use "$HEAD_REF" where it is read only once
    30: `${{ inputs.a-b }}`: the command reads its arguments a second time
      put `A_B: ${{ inputs.a-b }}` under the step's `env` and use "$A_B" where it is read only once
    5: `${{ github.head_ref }}`: values from outside are refused in scripts
      put `HEAD_REF: ${{ github.head_ref }}` under the step's `env` and use "$HEAD_REF" where it is read only once
    7: `${{ github.event.issue.title }}`: a value would become a part of the program
      put `TITLE: ${{ github.event.issue.title }}` under the step's `env` and use os.environ["TITLE"] where it is read only once
    7: `${{ github.event.issue.title }}`: a value would become a part of the script
      put `TITLE: ${{ github.event.issue.title }}` under the step's `env` and use the environment variable TITLE where it is read only once
    9: unknown context `gihub`
      did you mean `github`?
    5: `${{` is not closed by `}}`
      write `${{ expression }}`
    5: `${{ toJSON(github.*) }}`: the command reads its arguments a second time
      put `GITHUB: ${{ toJSON(github.*) }}` under the step's `env` and use "$GITHUB" where it is read only once
    "#);
}

#[test]
fn the_shell_is_told_by_its_program() {
    let of = |text| Shell::of(Some(text));
    assert_eq!(Shell::of(None), Shell::Bash);
    assert_eq!(of("bash"), Shell::Bash);
    assert_eq!(of("/bin/bash --noprofile -e {0}"), Shell::Bash);
    assert_eq!(of("sh -e {0}"), Shell::Sh);
    assert_eq!(of("python3 {0}"), Shell::Python);
    assert_eq!(of("pwsh"), Shell::Other);
    assert_eq!(of("perl {0}"), Shell::Other);
}

#[test]
fn a_script_that_is_nested_without_end_is_refused() {
    for open in ["$(", "\"$(", "(", "`", "a=(", "\"`"] {
        let run = format!("{}echo ${{{{ github.ref }}}}", open.repeat(20_000));
        let faults = rewrite(&run, Shell::Bash, Policy::Environment);
        assert!(faults.is_err() || open == "`" || open == "\"`", "{open}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_read_to_its_end(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "${{ github.ref }}", "'", "\"", "`", "$(", ")", "((", "))", "[[ ", " ]]", "<<E", "<<'E'", "\nE\n", "\n", ";",
                "|", "bash", " -c ", "case ", " in ", ";;", "esac", "\\", "$", "{", "}", "a=", "(", "#", " ", "é", "<", "eval ",
            ]),
            0..24,
        ),
    ) {
        let run: String = parts.concat();
        // Pieces can make the beginning of another expression, which ends where one of ours does.
        prop_assume!(run.matches("${{").count() == run.matches("${{ github.ref }}").count());
        match rewrite(&run, Shell::Bash, Policy::Environment) {
            Ok(script) => {
                // Nothing but the expressions has changed.
                prop_assert!(!script.text.contains("github.ref"), "{}", script.text);
                let back = script.text
                    .replace("'\"${DISPATCHYARD_EXPR_1}\"'", "")
                    .replace("\"${DISPATCHYARD_EXPR_1}\"", "")
                    .replace("${DISPATCHYARD_EXPR_1}", "");
                let without = run.replace("${{ github.ref }}", "");
                let letters = |text: &str| text.chars().filter(|c| !"'\"".contains(*c)).collect::<String>();
                prop_assert_eq!(letters(&back), letters(&without));
            }
            Err(faults) => {
                for fault in faults {
                    prop_assert!(run[fault.at..].starts_with("${{"), "{}", fault.message);
                }
            }
        }
    }
}
