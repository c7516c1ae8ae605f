# What run and long share. Sourced, never run.
# shellcheck shell=bash

exec </dev/null # nobody answers questions here

cd "$(dirname "${BASH_SOURCE[0]}")/.."

export GOTOOLCHAIN=local # the Go that is here; another one cannot be had everywhere

# run_steps STEP...: calls step_STEP for each, says how many seconds each took, goes on after a failure so that one run tells
# of all, and exits 1 if any failed.
run_steps() {
	local name status start failed=() times=()
	for name in "$@"; do
		printf '\n=== %s\n' "$name"
		start=$SECONDS
		# Not in a condition: errexit would be off inside.
		set +e
		(
			set -e
			"step_$name"
		)
		status=$?
		set -e
		times+=("$name $((SECONDS - start)) s")
		if ((status == 0)); then
			printf -- '--- %s: done in %d s\n' "$name" $((SECONDS - start))
		else
			printf -- '--- %s: FAILED (status %d) after %d s; to run it alone: %s %s\n' "$name" "$status" $((SECONDS - start)) "$0" "$name"
			failed+=("$name")
		fi
	done
	echo
	printf '%s\n' "${times[@]}" "total $SECONDS s"
	if ((${#failed[@]})); then
		echo "FAILED: ${failed[*]}"
		exit 1
	fi
}

# check_steps KNOWN -- GIVEN: refuses a name that is no step.
check_steps() {
	local known=() name
	while [[ $1 != -- ]]; do
		known+=("$1")
		shift
	done
	shift
	for name in "$@"; do
		if [[ " ${known[*]} " != *" $name "* ]]; then
			echo "$0: no step $name; there are: ${known[*]}" >&2
			exit 2
		fi
	done
}

# retry COMMAND...: three times, since registries are across a network.
retry() {
	local n
	for n in 1 2 3; do
		"$@" && return
		((n == 3)) || sleep $((n * 5))
	done
	echo "failed three times: $*" >&2
	return 1
}

# need PROGRAM:PACKAGE...: installs Debian's packages whose programs are missing.
need() {
	local missing=() pair
	for pair in "$@"; do
		command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
	done
	((${#missing[@]})) || return 0
	echo "installing ${missing[*]}"
	if ((EUID != 0)); then
		echo "not root: install them with apt-get install ${missing[*]}" >&2
		return 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	retry apt-get -qq update
	retry apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
}

# fuzz_folders: every folder with a fuzz target.
fuzz_folders() {
	git ls-files -co --exclude-standard '*_test.go' | xargs -r grep -l '^func Fuzz' | xargs -r -n1 dirname | sort -u
}

# fuzz DURATION [REGEXP]: every target whose "FOLDER NAME" matches, for so long each. A folder's tests are built once, as the
# fuzzer needs them: go test would link them again for each target.
fuzz() {
	local dir name count=0 bad=0 built
	built=$(mktemp -d)
	while read -r dir; do
		go test -vet=off -c -fuzz=. -o "$built/test" "./$dir"
		for name in $("$built/test" -test.list '^Fuzz'); do
			grep -qE "${2:-.}" <<<"./$dir $name" || continue
			count=$((count + 1))
			fuzz_one "$1" "$dir" "$name" "$built/test" || bad=$((bad + 1))
		done
	done < <(fuzz_folders)
	rm -r "$built"
	echo "$count fuzz targets, $1 each, $bad failed"
	((bad == 0))
}

# fuzz_one DURATION FOLDER NAME TEST: now and then the fuzzer takes the end of its time for a failure. A real finding names the input
# that it wrote; without one the target gets a second run.
fuzz_one() {
	local log corpus
	corpus=$(go env GOCACHE)/fuzz/$(go list "./$2")
	for _ in 1 2; do
		if log=$(cd "$2" && "$4" -test.run='^$' -test.fuzz="^$3\$" -test.fuzztime="$1" -test.fuzzcachedir="$corpus" 2>&1); then
			printf '%s %s: %s\n' "$2" "$3" "$(grep -oE 'execs: [0-9]+' <<<"$log" | tail -n 1)"
			return 0
		fi
		[[ $log == *'context deadline exceeded'* && $log != *'Failing input written'* ]] || break
	done
	printf '%s\n' "$log"
	return 1
}
