//! Where no value may stand, and why.

use super::super::{Policy, Shell, rewrite};

/// All places where it is refused, with the reason.
fn refused(runs: &[&str]) -> String {
    let told = runs.iter().map(|run| {
        let text = run.replace('X', "${{ github.head_ref }}");
        match rewrite(&text, Shell::Bash, Policy::Environment) {
            Ok(script) => format!("{run}: NOT REFUSED: {}", script.text),
            Err(faults) => {
                assert!(faults.iter().all(|it| text[it.at..].starts_with("${{")), "{run}");
                let why = faults[0].message.trim_start_matches("`${{ github.head_ref }}`: ");
                format!("{run}: {why}")
            }
        }
    });
    told.collect::<Vec<_>>().join("\n")
}

#[test]
fn where_a_value_would_be_read_twice_it_is_refused() {
    let told = refused(&[
        "X",
        "X build",
        "make; X",
        "a-X b",
        "if X; then a; fi",
        "sudo X",
        "sudo -u a X",
        "exec X",
        "time X",
        "\"X\" a",
        "$(X)",
        "timeout 5 X",
        "nohup X",
        "X=1",
        "AX=1",
        "A[X]=1",
        "A=([X]=1)",
        "export X",
        "export \"X\"",
        "declare X",
        "local aX=1",
        "unset X",
        "read X",
        "declare -i a=X",
        "declare -n a=X",
        "PS4=X",
        "BASH_ENV=X make",
        "echo $X",
        "echo ${X}",
        "echo ${A:-X}",
        "echo ${A[X]}",
        "echo $AX",
        "echo \"$X\"",
        "echo \\X",
        "echo \"\\X\"",
        "echo $((X + 1))",
        "((X))",
        "(( a = X ))",
        "for ((i=0;i<X;i++)); do a; done",
        "echo $[X]",
        "let a=X",
        "[[ X -eq 1 ]]",
        "[[ 1 -lt \"X\" ]]",
        "[[ -v X ]]",
        "[[ <(bash -c X) = a ]]",
        "[ -v X ]",
        "test -v \"X\"",
        "[ X X ]",
        "echo $'X'",
        "eval X",
        "eval \"echo 'X'\"",
        "bash -c X",
        "bash -c \"echo 'X'\"",
        "sh -c 'echo X'",
        "bash -ec X",
        "bash -c -o pipefail X",
        "bash X",
        "docker exec a sh -c \"X\"",
        "env A=1 bash -c X",
        "ssh host X",
        "ssh host \"make X\"",
        "xargs X",
        "trap X EXIT",
        "trap 'rm X' EXIT",
        "source X",
        ". X",
        ". a X",
        "python -c X",
        "python3 -c \"print('X')\"",
        "perl -e X",
        "perl -ne 'X'",
        "node -e X",
        "node --eval \"X\"",
        "ruby -e X",
        "sed \"s/a/X/\"",
        "awk '{ print \"X\" }'",
        "printf X",
        "printf \"X\"",
        "printf -v X a",
        "for X in a; do b; done",
        "function X { a; }",
        "find . -name a | xargs echo X",
        "time -p X",
        "time { X; }",
        "time A=1 X",
        "coproc P { X; }",
        "!(eval X)",
        "find . -exec X",
        "echo 'X",
        "echo X)",
        "echo $(make X",
        "case a in a) make X",
        "cat <<E\nX",
        "cat <<E\na\\\nE\nit's\nE\neval X '",
        "$A X",
        "\"$A\" X",
        "env $A X",
        "env A=1 {X,b}",
        "printf $A X",
        "bash $A X",
        "[ $A X = a ]",
        "timeout $A make X",
        "export $A B=X",
        "docker exec a sh $A X",
        "echo X | $A",
    ]);
    insta::assert_snapshot!(told, @r#"
    X: a value would be the name of a command, or a part of it
    X build: a value would be the name of a command, or a part of it
    make; X: a value would be the name of a command, or a part of it
    a-X b: a value would be the name of a command, or a part of it
    if X; then a; fi: a value would be the name of a command, or a part of it
    sudo X: a value would be the name of a command, or a part of it
    sudo -u a X: which command is carried out cannot be told from the words before it
    exec X: a value would be the name of a command, or a part of it
    time X: a value would be the name of a command, or a part of it
    "X" a: a value would be the name of a command, or a part of it
    $(X): a value would be the name of a command, or a part of it
    timeout 5 X: a value would be the name of a command, or a part of it
    nohup X: a value would be the name of a command, or a part of it
    X=1: a value would be the name of a command, or a part of it
    AX=1: a value would be the name of a command, or a part of it
    A[X]=1: a value would be the name of a variable, or a part of it
    A=([X]=1): arithmetic carries out what stands in a value
    export X: a value would be the name of a variable, or a part of it
    export "X": a value would be the name of a variable, or a part of it
    declare X: a value would be the name of a variable, or a part of it
    local aX=1: a value would be the name of a variable, or a part of it
    unset X: the command reads its arguments a second time
    read X: the command reads its arguments a second time
    declare -i a=X: a variable of the script is a number, so what is assigned is arithmetic
    declare -n a=X: the variable may be one of arithmetic, a list or another name
    PS4=X: a value would become a part of what an interpreter carries out
    BASH_ENV=X make: a value would become a part of what an interpreter carries out
    echo $X: a value would be a part of a variable's name
    echo ${X}: a value in `${..}` would be read as a name, a place or a pattern
    echo ${A:-X}: a value in `${..}` would be read as a name, a place or a pattern
    echo ${A[X]}: a value in `${..}` would be read as a name, a place or a pattern
    echo $AX: a value would be a part of a variable's name
    echo "$X": a value would be a part of a variable's name
    echo \X: a `\` before it would keep the value out
    echo "\X": a `\` before it would keep the value out
    echo $((X + 1)): arithmetic carries out what stands in a value
    ((X)): arithmetic carries out what stands in a value
    (( a = X )): arithmetic carries out what stands in a value
    for ((i=0;i<X;i++)); do a; done: arithmetic carries out what stands in a value
    echo $[X]: arithmetic carries out what stands in a value
    let a=X: the command reads its arguments a second time
    [[ X -eq 1 ]]: arithmetic carries out what stands in a value
    [[ 1 -lt "X" ]]: arithmetic carries out what stands in a value
    [[ -v X ]]: arithmetic carries out what stands in a value
    [[ <(bash -c X) = a ]]: a value would become a part of what an interpreter carries out
    [ -v X ]: `test` may take the value for one of its operators
    test -v "X": `test` may take the value for one of its operators
    [ X X ]: `test` may take the value for one of its operators
    echo $'X': a shell puts no value into `$'..'`
    eval X: the command reads its arguments a second time
    eval "echo 'X'": the command reads its arguments a second time
    bash -c X: a value would become a part of what an interpreter carries out
    bash -c "echo 'X'": a value would become a part of what an interpreter carries out
    sh -c 'echo X': a value would become a part of what an interpreter carries out
    bash -ec X: a value would become a part of what an interpreter carries out
    bash -c -o pipefail X: a value would become a part of what an interpreter carries out
    bash X: a value would become a part of what an interpreter carries out
    docker exec a sh -c "X": a value would become a part of what an interpreter carries out
    env A=1 bash -c X: a value would become a part of what an interpreter carries out
    ssh host X: the command reads its arguments a second time
    ssh host "make X": the command reads its arguments a second time
    xargs X: the command reads its arguments a second time
    trap X EXIT: the command reads its arguments a second time
    trap 'rm X' EXIT: the command reads its arguments a second time
    source X: the command reads its arguments a second time
    . X: the command reads its arguments a second time
    . a X: the command reads its arguments a second time
    python -c X: a value would become a part of what an interpreter carries out
    python3 -c "print('X')": a value would become a part of what an interpreter carries out
    perl -e X: a value would become a part of what an interpreter carries out
    perl -ne 'X': a value would become a part of what an interpreter carries out
    node -e X: a value would become a part of what an interpreter carries out
    node --eval "X": a value would become a part of what an interpreter carries out
    ruby -e X: a value would become a part of what an interpreter carries out
    sed "s/a/X/": the command reads its arguments a second time
    awk '{ print "X" }': the command reads its arguments a second time
    printf X: the first argument of `printf` is read as options and a format
    printf "X": the first argument of `printf` is read as options and a format
    printf -v X a: the first argument of `printf` is read as options and a format
    for X in a; do b; done: `for` and `select` want a name and `in` before the values
    function X { a; }: a value would be the name of a variable, or a part of it
    find . -name a | xargs echo X: the command reads its arguments a second time
    time -p X: a value would be the name of a command, or a part of it
    time { X; }: a value would be the name of a command, or a part of it
    time A=1 X: a value would be the name of a command, or a part of it
    coproc P { X; }: which command is carried out cannot be told from the words before it
    !(eval X): the command reads its arguments a second time
    find . -exec X: a value would be the name of a command, or a part of it
    echo 'X: the script has a quote or a bracket that is not closed, or not opened
    echo X): the script has a quote or a bracket that is not closed, or not opened
    echo $(make X: the script has a quote or a bracket that is not closed, or not opened
    case a in a) make X: the script has a quote or a bracket that is not closed, or not opened
    cat <<E
    X: nobody knows where the here-document before it ends
    cat <<E
    a\
    E
    it's
    E
    eval X ': the command reads its arguments a second time
    $A X: nobody knows which command it is that reads the value
    "$A" X: nobody knows which command it is that reads the value
    env $A X: which command is carried out cannot be told from the words before it
    env A=1 {X,b}: a value would be the name of a command, or a part of it
    printf $A X: the first argument of `printf` is read as options and a format
    bash $A X: a value would become a part of what an interpreter carries out
    [ $A X = a ]: a word before it may turn out to be none, or several; put it into double quotes
    timeout $A make X: which command is carried out cannot be told from the words before it
    export $A B=X: a word before it may turn out to be none, or several; put it into double quotes
    docker exec a sh $A X: a value would become a part of what an interpreter carries out
    echo X | $A: what is written goes to a command that carries it out
    "#);
}

#[test]
fn what_is_written_to_an_interpreter_is_refused() {
    let told = refused(&[
        "echo X | bash",
        "echo X | sudo sh -s",
        "echo X |\n  bash -",
        "(echo X) | sh",
        "{ echo X; } | sh",
        "for a in X; do echo $a; done | sh",
        "cat <<E | bash\nX\nE",
        "bash <<E\necho X\nE",
        "ssh host <<E\nX\nE",
        "bash <<< \"X\"",
        "cat <<E |\nX\nE\nbash",
        "docker exec -i a bash <<E\nX\nE",
        "echo X | python3",
        "cat <<'E'\nX\nE",
        "cat <<\\E\nX\nE",
        "cat <<X\na\nX",
        "eval \"$(echo X)\"",
        "`echo 'X'`",
    ]);
    insta::assert_snapshot!(told, @r#"
    echo X | bash: what is written goes to a command that carries it out
    echo X | sudo sh -s: what is written goes to a command that carries it out
    echo X |
      bash -: what is written goes to a command that carries it out
    (echo X) | sh: what is written goes to a command that carries it out
    { echo X; } | sh: what is written goes to a command that carries it out
    for a in X; do echo $a; done | sh: what is written goes to a command that carries it out
    cat <<E | bash
    X
    E: what is written goes to a command that carries it out
    bash <<E
    echo X
    E: what is written goes to a command that carries it out
    ssh host <<E
    X
    E: what is written goes to a command that carries it out
    bash <<< "X": what is written goes to a command that carries it out
    cat <<E |
    X
    E
    bash: what is written goes to a command that carries it out
    docker exec -i a bash <<E
    X
    E: what is written goes to a command that carries it out
    echo X | python3: what is written goes to a command that carries it out
    cat <<'E'
    X
    E: a shell puts no value into a here-document with a quoted delimiter
    cat <<\E
    X
    E: a shell puts no value into a here-document with a quoted delimiter
    cat <<X
    a
    X: a value would end the here-document
    eval "$(echo X)": the command reads its arguments a second time
    `echo 'X'`: a value would be the name of a command, or a part of it
    "#);
}

/// Found by reading: what made a value arithmetic, which a shell may carry out.
#[test]
fn what_makes_a_value_arithmetic_is_refused_wherever_it_stands() {
    let told = refused(&[
        "time (( a = X ))",
        "time -p [[ X -eq 1 ]]",
        "function f { (( n = X )); }; f",
        "function f { [[ X -eq 1 ]]; }; f",
        "declare -i n\nn=X",
        "f() { local -ri n; n=X; }",
        "typeset -i n; export n=X",
    ]);
    insta::assert_snapshot!(told, @"
    time (( a = X )): arithmetic carries out what stands in a value
    time -p [[ X -eq 1 ]]: arithmetic carries out what stands in a value
    function f { (( n = X )); }; f: arithmetic carries out what stands in a value
    function f { [[ X -eq 1 ]]; }; f: arithmetic carries out what stands in a value
    declare -i n
    n=X: a variable of the script is a number, so what is assigned is arithmetic
    f() { local -ri n; n=X; }: a variable of the script is a number, so what is assigned is arithmetic
    typeset -i n; export n=X: a variable of the script is a number, so what is assigned is arithmetic
    ");
}
