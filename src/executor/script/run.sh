# Carries out the work of one attempt where there is a POSIX sh with cat, env, head, mkdir, sleep and wc: in the image
# of a container or a pod. This text is the same for all jobs. What a job brings are files beside it:
#
#   step-N          a script, from 0 on          step-N.name       what people call it
#   step-N.limit    how many seconds it may run  step-N.warnings   what cannot be done of it
#   job-N  own-N  step-N.env-M   one variable each, NAME=VALUE, in layers: job, step, own
#   prompt          standard input
#
# A variable is handed to env whole. The shell never assigns it, so no name and no value can change what this
# script does, PATH and IFS included.
#
# The last line of the report is `##[end] WORD CODE IS_CUT NAME`; before it stand the steps' outputs.
set -u
bundle=$1 work=$2 report=$3 report_bytes_max=$4

say() { printf '%s\n' "$*"; }

# The content of a file, with the line ends at its end; NUL is not in it.
content() {
    content=$(cat "$1" && printf x) || exit 125
    content=${content%x}
}

# end WORD CODE: writes the report and leaves. The container ends, and with it whatever still runs there.
end() {
    is_cut=whole
    if [ "$report_bytes_max" -gt 0 ] && [ -s "$output" ]; then
        # Room for the last line.
        room=$((report_bytes_max - 512))
        if [ "$(wc -c <"$output")" -gt "$room" ]; then
            say "##[warning] outputs beyond $room bytes are dropped"
            is_cut=cut
        fi
    fi
    {
        case $is_cut in
            cut) head -c "$room" "$output" ;;
            *) cat "$output" ;;
        esac
        printf '\n##[end] %s %s %s %s\n' "$1" "$2" "$is_cut" "$name"
    } >"$report" 2>/dev/null || say "##[warning] the outputs cannot be written to $report"
    exit "$2"
}

# signal NAME: to the step, with all that it has started where there is a setsid.
signal() {
    [ -n "$pid" ] || return 0
    kill -s "$1" -- "$group$pid" 2>/dev/null || kill -s "$1" "$pid" 2>/dev/null
}

is_stopped=
stop() {
    is_stopped=1
    signal TERM
}
stopped() {
    say "##[cancelled] step \`$name\` is stopped"
    end stopped 143
}
pid='' name='' output=/dev/null
trap stop TERM INT HUP

if ! { mkdir -p "$work" && [ -w "$work" ]; } 2>/dev/null; then
    work=${TMPDIR:-/tmp}/dispatchyard-work
fi
workspace=$work/workspace output=$work/output
if ! { mkdir -p "$workspace" && : >"$output"; }; then
    say "##[error] no folder to work in: $work"
    output=/dev/null
    end broken 125
fi
cd "$workspace" || exit 125
: >"$work/none"

if bash=$(command -v bash); then
    shell="$bash --noprofile --norc -eo pipefail"
else
    shell="/bin/sh -e"
fi
# A session of its own is a group of its own. Without one only the step's shell is told to stop.
session='' group=''
if command -v setsid >/dev/null; then
    session=setsid group=-
fi

step=0
while [ -e "$bundle/step-$step" ]; do
    file=$bundle/step-$step
    name=$(cat "$file.name")
    printf '##[step] %s\n' "$name"
    if [ -e "$file.warnings" ]; then
        cat "$file.warnings"
    fi
    set -- CI=true
    for layer in "$bundle/job-" "$file.env-" "$bundle/own-"; do
        at=0
        while [ -e "$layer$at" ]; do
            content "$layer$at"
            set -- "$@" "$content"
            at=$((at + 1))
        done
    done
    set -- "$@" "DISPATCHYARD_WORKSPACE=$workspace" "DISPATCHYARD_OUTPUT=$output"
    stdin=$work/none
    if [ -e "$bundle/prompt" ]; then
        stdin=$bundle/prompt
    fi
    [ -z "$is_stopped" ] || stopped
    # shellcheck disable=SC2086
    $session env "$@" $shell "$file" <"$stdin" &
    pid=$!
    # It came between the look and the start.
    [ -z "$is_stopped" ] || signal TERM
    watchdog=
    if [ -e "$file.limit" ]; then
        limit=$(cat "$file.limit")
        {
            sleep "$limit"
            : >"$work/late"
            signal TERM
            sleep 10
            signal KILL
        } </dev/null >/dev/null 2>&1 &
        watchdog=$!
    fi
    # A wait ends when a signal comes; the step may need longer.
    wait "$pid"
    code=$?
    while [ "$code" -gt 128 ] && kill -0 "$pid" 2>/dev/null; do
        wait "$pid"
        code=$?
    done
    pid=
    [ -z "$watchdog" ] || kill "$watchdog" 2>/dev/null
    if [ -n "$is_stopped" ]; then
        stopped
    elif [ -e "$work/late" ]; then
        say "##[error] step \`$name\` ran longer than its $limit s"
        [ "$code" -ne 0 ] || code=143
        end late "$code"
    elif [ "$code" -ne 0 ]; then
        say "##[error] step \`$name\` failed with exit code $code"
        end failed "$code"
    fi
    step=$((step + 1))
done
end completed 0
