# Steps, one after the other or in the background, and their times. Sourced by run.

started=$SECONDS
tmp=$(mktemp -d)
steps=0
current='the start'
times=()
lane= # the process that runs the steps in the background, while it runs

finish() {
	local status=$?
	[ -z "$lane" ] || kill -- "-$lane" 2>/dev/null || true
	rm -rf "$tmp"
	if [ "$status" -ne 0 ]; then
		printf '\n==== CI FAILED in step %s (exit status %d) ====\n' "$current" "$status"
	fi
	exit "$status"
}
trap finish EXIT

die() {
	printf '%s\n' "$*" >&2
	exit 1
}

# step NAME COMMAND... runs a step.
step() {
	report_background
	steps=$((steps + 1))
	current="$steps: $1"
	printf '\n==== %s (after %d s) ====\n' "$current" "$((SECONDS - started))"
	local began=$SECONDS cpu
	cpu_seconds
	"${@:2}"
	cpu=$spent
	cpu_seconds
	times+=("$(printf '%5d s %5d s of CPU  %s' "$((SECONDS - began))" "$((spent - cpu))" "$current")")
}

# cpu_seconds sets spent to the seconds of CPU that the commands of this shell have used.
spent=0
cpu_seconds() {
	local file=$tmp/cpu.$BASHPID
	times >"$file" # not in a subshell, whose own times it would print
	spent=$(awk -F '[ ms]+' 'NR == 2 { print int($1 * 60 + $2 + $3 * 60 + $4) }' "$file")
}

# Steps in the background run one after the other. Number n prints to $tmp/lane/n, and has ended when there is
# $tmp/lane/n.end, with its status, its seconds and those of CPU. Its output is printed whole, between two steps.
lane_names=()
lane_commands=()
lane_reported=0

# background NAME COMMAND... adds a step that start_background is to run.
background() {
	lane_names+=("$1")
	lane_commands+=("$(printf '%q ' "${@:2}")")
}

# start_background N runs what was added. It measures time, so the foreground gives way: to the first N steps entirely, to
# the others as far as a program can that watches the clock itself.
strict=0
start_background() {
	strict=$1
	mkdir "$tmp/lane"
	set -m # in a process group of its own, which finish ends
	run_lane &
	set +m
	lane=$!
	chrt --idle -p 0 $$ 2>/dev/null || renice -n 19 -p $$ >/dev/null
}

run_lane() {
	set +e
	local n
	for n in "${!lane_names[@]}"; do
		local began=$SECONDS status cpu
		cpu_seconds
		cpu=$spent
		(
			set -e
			eval "${lane_commands[n]}"
		) >"$tmp/lane/$n" 2>&1
		status=$?
		cpu_seconds
		printf '%d %d %d\n' "$status" "$((SECONDS - began))" "$((spent - cpu))" >"$tmp/lane/end"
		mv "$tmp/lane/end" "$tmp/lane/$n.end"
		[ "$status" -eq 0 ] || return
	done
}

# report_background prints what has ended since it was last called. If one failed, so does the run.
report_background() {
	local n status seconds cpu
	while [ "$lane_reported" -lt "${#lane_names[@]}" ] && [ -e "$tmp/lane/$lane_reported.end" ]; do
		n=$lane_reported
		lane_reported=$((lane_reported + 1))
		read -r status seconds cpu <"$tmp/lane/$n.end"
		steps=$((steps + 1))
		current="$steps: ${lane_names[n]}"
		printf '\n==== %s (in the background, ended by %d s) ====\n' "$current" "$((SECONDS - started))"
		cat "$tmp/lane/$n"
		[ "$status" -eq 0 ] || exit "$status"
		times+=("$(printf '%5d s %5d s of CPU  %s, in the background' "$seconds" "$cpu" "$current")")
		[ "$lane_reported" -ne "$strict" ] || { chrt --other -p 0 $$ && renice -n 5 -p $$; } &>/dev/null || true
	done
}

# finish_background waits for what is left in the background.
finish_background() {
	printf '\n---- waiting for the steps in the background (after %d s) ----\n' "$((SECONDS - started))"
	wait "$lane" || true
	lane=
	report_background
	[ "$lane_reported" -eq "${#lane_names[@]}" ] || die 'not all steps in the background were run'
}

# A stamp in the build cache says that a whole run has filled it. What Go has not used for five days it removes.
stamp=$(go env GOCACHE)/00/keyrate-ci
if [ -n "$(find "$stamp" -mtime -5 2>/dev/null)" ]; then caches=warm; else caches=fresh; fi

# summary prints the times of all steps.
summary() {
	printf '\n'
	printf '%s\n' "${times[@]}"
	printf '\nsteps: %d passed, 0 failed\n' "$steps"
	printf '==== CI PASSED: every check, in %d s with %s caches ====\n' "$((SECONDS - started))" "$caches"
	if [ "$lane_reported" -gt 0 ]; then mkdir -p "${stamp%/*}" && touch "$stamp"; fi
}

# run prints a command and runs it.
run() {
	printf '$ %s\n' "$*"
	"$@"
}

# run_seen PATTERN COMMAND... runs a command and fails as well when no line of its output matches PATTERN: a run that
# selected nothing must not pass for one that found nothing wrong.
run_seen() {
	local pattern=$1 seen
	shift
	seen=$(mktemp -p "$tmp")
	run "$@" 2>&1 | tee "$seen"
	grep -Eq "$pattern" "$seen" || die "nothing was run: no line of the output matches $pattern"
}
