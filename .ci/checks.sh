# The checks, one function each. Sourced by run.

# The README states these commands; they must be the ones that are run here.
readme_test='go test ./...'
readme_demo='go run ./examples/quickstart -demo'

oracle_histories=100000
fuzz_time=5s
bench_time=100x

# Modules of their own, found rather than listed. Tools of others are built, not checked; testdata belongs to a test.
nested=()
for file in $(git ls-files --cached --others --exclude-standard -- ':(glob)**/go.mod'); do
	[ -e "$file" ] || continue
	case $file in
	tools/release/go.mod) nested+=("${file%/go.mod}") ;;
	go.mod | tools/* | */testdata/*) ;;
	*) nested+=("${file%/go.mod}") ;;
	esac
done

# published prints the modules that users import.
published() { awk '$1 == "publish" { print $2 }' tools/release/modules; }

# in_module DIR COMMAND... runs a command in the folder of a module.
in_module() { (cd "$1" && printf -- '-- %s\n' "$1" && "${@:2}"); }

# tests COMMAND... runs a command with go test in it, and fails as well when no test passed. The results are kept: a test
# that is skipped in every run fails the last step.
testlog=$tmp/testlog
results=$tmp/results
tests() {
	local mode=run
	[[ " $* " != *' -v '* ]] || mode=verbose
	local command=() word
	for word in "$@"; do
		command+=("$word")
		[ "$word" != test ] || command+=(-json)
	done
	run "${command[@]}" | "$testlog" "$mode" "$results"
}

tree() {
	local folder file command
	for folder in ratelimit store middleware examples benchmarks; do
		[ -n "$(git ls-files -- "$folder/*.go")" ] || die "$folder holds no Go code"
	done
	for file in README.md LICENSE CHANGELOG.md CONTRIBUTING.md SECURITY.md; do
		[ -s "$file" ] || die "$file is missing or empty"
	done
	for command in "$readme_test" "$readme_demo"; do
		grep -qF "$command" README.md || die "README.md does not state the command that is checked here: $command"
	done
	run go version
	printf 'nested modules: %s\n' "${nested[*]:-none}"
	printf 'caches: %s\n' "$caches"
	run go build -o "$testlog" ./tools/testlog
}

# apt_install PACKAGE... installs packages of Debian.
apt_install() {
	local apt=(env DEBIAN_FRONTEND=noninteractive apt-get)
	[ "$(id -u)" = 0 ] || apt=(sudo "${apt[@]}")
	run "${apt[@]}" install -y --no-install-recommends "$@" ||
		{ run "${apt[@]}" update && run "${apt[@]}" install -y --no-install-recommends "$@"; }
}

debian() {
	local missing=()
	# need PACKAGE COMMAND... notes a package of Debian that is needed for the command to succeed.
	need() { "${@:2}" &>/dev/null || missing+=("$1"); }
	need redis-server redis-server --version
	need nodejs node --version
	need npm npm --version
	need nginx /usr/sbin/nginx -v
	need haproxy /usr/sbin/haproxy -v
	need chromium chromium --version
	need python3-urllib3 /usr/bin/python3 -c 'import urllib3'
	[ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
	run redis-server --version
	run node --version
	run /usr/sbin/nginx -v
	run /usr/sbin/haproxy -v
}

# long lets no test be left out from here on because a developer lacks time or a program.
long() {
	export KEYRATE_LONG=1 KEYRATE_REQUIRE_REDIS=1 KEYRATE_REQUIRE_NODE=1 KEYRATE_REQUIRE_PROXIES=1 \
		KEYRATE_REQUIRE_BROWSER=1 KEYRATE_REQUIRE_URLLIB3=1
}

formatting() {
	local unformatted
	unformatted=$(gofmt -l .) || die 'gofmt failed'
	[ -z "$unformatted" ] || die "not formatted; run gofmt -w on:"$'\n'"$unformatted"
	printf 'gofmt: clean\n'
}

wording() {
	run go run ./tools/prose .
}

tidy() {
	local module unexpected
	for module in . "${nested[@]}"; do
		in_module "$module" run go mod tidy -diff
	done
	# What needs anything else is a module of its own.
	unexpected=$(go list -m -f '{{if not (or .Main .Indirect)}}{{.Path}}{{end}}' all |
		grep -Ev '^(golang\.org/x/time|github\.com/redis/go-redis/v9|github\.com/alicebob/miniredis/v2)?$' || true)
	[ -z "$unexpected" ] || die "the root module must not require directly:"$'\n'"$unexpected"
}

vet() {
	local module
	for module in . "${nested[@]}"; do
		in_module "$module" run go vet ./...
	done
}

golangci_lint=(go tool "-modfile=$root/tools/golangci-lint/go.mod" golangci-lint)

lint_build() {
	run "${golangci_lint[@]}" version
	run "${golangci_lint[@]}" config verify
}

lint() {
	local module
	for module in . "${nested[@]}"; do
		in_module "$module" run "${golangci_lint[@]}" run ./...
	done
}

# since prints the commit that a change began at.
since() {
	git merge-base HEAD origin/main 2>/dev/null || git rev-parse HEAD~1
}

# changed MODULE prints the folders with Go files that changed, as ./FOLDER below the module.
changed() {
	local module=$1 file folder other
	{
		git diff --name-only --diff-filter=d "$(since)" -- '*.go'
		git ls-files --others --exclude-standard -- '*.go'
	} | while read -r file; do
		case $file in
		*/testdata/*) continue ;;
		esac
		folder=$(dirname "$file")
		for other in "${nested[@]}" .; do
			case $folder/ in
			"$other"/*) break ;;
			esac
		done
		[ "$other" = "$module" ] || continue
		if [ "$module" = . ]; then printf './%s\n' "$folder"; else printf '.%s\n' "${folder#"$module"}"; fi
	done | sort -u
}

vet_changed() {
	local module
	in_module . run go vet ./...
	for module in "${nested[@]}"; do
		[ -z "$(changed "$module")" ] || in_module "$module" run go vet ./...
	done
}

lint_changed() {
	local module folders commit
	commit=$(since)
	for module in . "${nested[@]}"; do
		mapfile -t folders < <(changed "$module")
		[ ${#folders[@]} = 0 ] || in_module "$module" run "${golangci_lint[@]}" run --new-from-rev="$commit" "${folders[@]}"
	done
}

# readme runs the commands as on a machine that has no module of others yet and no program but those of Go. What Go has
# built can stay: it is found by its content, so it hides no missing step; a test result could, and does not count. The
# empty module cache is at the same place each time, because a package is built again where its path has changed.
readme() {
	local fresh lock
	fresh=$(go env GOCACHE)/keyrate-ci
	mkdir -p "$fresh"
	exec {lock}>"$fresh/lock"
	flock -n "$lock" || fresh=$tmp/fresh # another run is using it
	rm -rf "$fresh/mod"
	local command=(env)
	local name
	for name in "${!KEYRATE_@}"; do command+=(-u "$name"); done
	command+=(PATH="$(go env GOROOT)/bin" GOFLAGS="$(go env GOFLAGS) -modcacherw -count=1" GOMODCACHE="$fresh/mod")
	tests "${command[@]}" $readme_test
	run_seen '429' "${command[@]}" $readme_demo
	rm -rf "$fresh/mod"
	exec {lock}>&-
}

# bits32 builds what users import where an int has 32 bits, and tests what computes.
bits32() {
	local module packages
	local go386=(env -u KEYRATE_LONG GOARCH=386 CGO_ENABLED=0 go)
	run "${go386[@]}" build ./ratelimit/... ./store/... ./middleware/...
	run "${go386[@]}" vet ./ratelimit/... ./store/... ./middleware/...
	packages=$(go list ./ratelimit/... ./store/... | grep -E 'keyrate/(ratelimit(/.*)?|store|store/memstore)$')
	tests "${go386[@]}" test $packages
	for module in $(published | grep -vFx .); do
		in_module "$module" run "${go386[@]}" vet ./...
		in_module "$module" tests "${go386[@]}" test ./...
	done
}

tests_long() {
	# -count=1: a cached result is not a run.
	tests ${readme_test/go test/go test -count=1}
}

race() {
	# What is long takes minutes more here, and runs without the race detector.
	tests env -u KEYRATE_LONG ${readme_test/go test/go test -race -shuffle=on -timeout=30m}
}

# race_redis tests what uses a real Redis, where many goroutines meet.
race_redis() { tests go test -race -shuffle=on -timeout=30m ./store/redisstore ./examples/redis ./examples/failover; }

# valkey and redis8 test the store on other servers. Redis 8 is in a later Debian than this one, so it may not be to be had.
valkey() {
	local codename
	codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	[ "$codename" != bookworm ] || codename=bookworm-backports
	run bash .ci/server debian "$codename" valkey-tools
}

redis8() {
	run bash .ci/server debian trixie redis-tools -run '^(TestContractOnRedis|TestContractStandalone|TestScriptIsRate)$' ||
		printf 'The store was not tested on Redis 8, or failed there. This is not a failure of CI.\n'
}

oracle() {
	tests env GOGC=400 KEYRATE_ORACLE_HISTORIES="$oracle_histories" go test -count=1 -v -run Oracle -timeout=30m ./store/memstore
}

# nested_tests MODULE leaves out what has a step of its own: the table of faults is about time, and the race detector
# takes too much, and the comparison of the script is about its answers.
nested_tests() {
	in_module "$1" tests go test -race -shuffle=on -timeout=30m -skip '^(TestFault.*|TestEqualToMemory)$' ./...
}

fault_table() { in_module store/chaos tests go test -count=1 -timeout=30m -v -run '^TestFault' .; }

equal_to_memory() { in_module store/chaos tests go test -count=1 -timeout=30m -v -run '^TestEqualToMemory$' .; }

# fuzz finds all targets and fuzzes each.
fuzz() {
	local folder name targets=0
	for folder in $(git grep --untracked -l '^func Fuzz' -- '*_test.go' | xargs -n 1 dirname | sort -u); do
		in_module "$folder" run go test -c -fuzz . -o "$tmp/fuzz.test" .
		for name in $(grep -hoE '^func Fuzz\w+' "$folder"/*_test.go | cut -d ' ' -f 2); do
			targets=$((targets + 1))
			printf -- '-- %s %s\n' "$folder" "$name"
			(cd "$folder" && fuzz_target "$name")
		done
	done
	[ "$targets" -gt 0 ] || die 'no fuzz target was found'
	printf '%d fuzz targets\n' "$targets"
}

# fuzz_target NAME fuzzes one target with the binary that fuzz has built. The fuzzing engine now and then reports its own
# deadline as the target's failure on a busy machine; with no failing input written that is not a finding, and is tried
# once more.
fuzz_target() {
	local seen=$tmp/fuzz.output
	local command=("$tmp/fuzz.test" -test.run '^$' -test.fuzz "^$1\$" -test.fuzztime "$fuzz_time"
		-test.fuzzcachedir "$(go env GOCACHE)/fuzz/$(go list .)")
	if "${command[@]}" 2>&1 | tee "$seen"; then
		grep -q '^fuzz: elapsed' "$seen" || die "$1 was not fuzzed"
		return
	fi
	if grep -q 'context deadline exceeded' "$seen" && ! grep -q 'Failing input written' "$seen"; then
		printf 'the engine ran into its deadline, without a failing input; once more\n'
		"${command[@]}" && return
	fi
	die "fuzzing $1 failed; an input, if one was written, is shown above and in testdata/fuzz"
}

release() { run_seen '^built a program that imports ' go -C tools/release run . -dry-run; }

# benchmarks runs the benchmarks of the library for a moment, but not those of parsers that others wrote. A large file of
# limits is read once.
benchmarks() {
	local folder benchtime
	for folder in $(git grep --untracked -l '^func Benchmark' -- 'ratelimit/*_test.go' 'store/*_test.go' 'middleware/*_test.go' |
		xargs -n 1 dirname | sort -u); do
		benchtime=$bench_time
		[ ! -e "$folder/go.mod" ] || benchtime=1x
		in_module "$folder" run_seen '^Benchmark.* ns/op' go test -run none -bench . -skip '^Benchmark(ParseByLibrary|JSON)$' \
			-benchtime "$benchtime" -benchmem .
	done
}

# demo FOLDER PATTERN FLAGS... runs an example, which must print a line that matches. It is built before: that may take
# minutes.
demo() {
	local folder=$1 pattern=$2
	shift 2
	in_module "$folder" run go build -o /dev/null .
	in_module "$folder" run_seen "$pattern" timeout 120 go run . "$@"
}

skipped() { run "$testlog" skipped "$results" || die 'each of these must run somewhere in CI'; }
