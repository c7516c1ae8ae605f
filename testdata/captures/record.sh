#!/usr/bin/env bash
# Records the captures in this folder from real programs, in two network
# namespaces of its own. Nothing leaves them. See README.md.
set -euo pipefail
export LC_ALL=C

readonly names=(http tls dns ping iperf3 refused mixed offload cooked loopback nano)

usage() {
	cat <<USAGE
usage: record.sh [-h] [NAME...]

Records the named captures, or all of them: ${names[*]}
  http      http.pcap, and from it http.pcap.gz and raw.pcap
  cooked    cooked.pcap (SLL2) and cooked-v1.pcap (SLL)
  the rest  NAME.pcap; tls and mixed: NAME.pcapng

Then checks them with tshark, moves them here, and brings manifest.tsv and the
counts in README.md up to date. A run that fails changes nothing here.
Needs root. Exit status: 0 done, 1 failed, 2 wrong usage or a program missing.
USAGE
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
readonly lock=/run/lock/weir-record.lock
readonly total_bytes_max=$((1536 * 1024))
tmp='' recorder=''

# shellcheck source=testdata/captures/lab.sh
source "$here/lab.sh"

# --- what must be there ------------------------------------------------------

require_packages() {
	local missing=() pair
	for pair in tcpdump:tcpdump dumpcap:wireshark-common editcap:wireshark-common capinfos:wireshark-common \
		tshark:tshark iperf3:iperf3 curl:curl dig:bind9-dnsutils dnsmasq:dnsmasq-base openssl:openssl \
		"$python:python3" ping:iputils-ping ethtool:ethtool ip:iproute2 ss:iproute2 iptables:iptables sysctl:procps; do
		command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
	done
	((${#missing[@]} == 0)) && return
	mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
	echo "record.sh: programs are missing; install them with" >&2
	echo "  apt-get install -y --no-install-recommends ${missing[*]}" >&2
	exit 2
}

# --- recorders ---------------------------------------------------------------

# Without -U and --immediate-mode the last packets would stay in a buffer.
readonly flags=(-n -U --immediate-mode -s 262144 -Z root)

# start_recorder FILE COMMAND...: returns when the file's header is written,
# which both programs do after the socket is open.
start_recorder() {
	local file=$tmp/out/$1
	shift
	"$@" -w "$file" >>"$tmp/log" 2>&1 &
	recorder=$!
	wait_for "the recorder of ${file##*/}" test -s "$file"
}
stop_recorder() {
	sleep 0.5 # late acknowledgements
	kill -INT "$recorder"
	wait "$recorder"
}
pcap() { start_recorder "$1" exec_in "$client_ns" tcpdump -i client0 "${flags[@]}" "${@:2}"; }
pcapng() { start_recorder "$1" exec_in "$client_ns" dumpcap -q -i client0 "${@:2}"; }

# dumpcap notes processor and kernel of the machine. Which they were is nobody's
# business; text of the same length keeps the blocks as they are.
forget_machine() { # forget_machine FILE
	local name
	for name in 'Capture hardware' 'Capture oper-sys'; do
		capinfos "$1" | sed -n "s/^$name: *//p"
	done | "$python" -c '
import pathlib, sys
file = pathlib.Path(sys.argv[1])
data = file.read_bytes()
for text in sys.stdin.buffer.read().splitlines():
    name = b"Linux" if text.startswith(b"Linux") else b"any"
    data = data.replace(text, name.ljust(len(text)))
file.write_bytes(data)' "$1"
}

# --- traffic: what the programs do -------------------------------------------

web() { client curl -q -sS --max-time 5 "$@" >/dev/null; }
tls() { web --tlsv1.3 --cacert "$tmp/cert.pem" "$@"; }
dns() { client dig -r +tries=1 +time=3 "$@" >>"$tmp/log"; }
echoes() { client ping -n -q -i 0.2 -W 2 "$@" >>"$tmp/log"; }
peer() { client "$python" "$here/peers.py" "$@"; }
burst() { client iperf3 --client "$server4" "$@" >>"$tmp/log"; }

record_http() {
	pcap http.pcap
	web "http://$server4/" "http://$server4/news" # one connection, two requests
	web --data 'river=low&gate=open' "http://$server4/form"
	web --header 'Host: blocked.example' "http://$server4/"
	web "http://[$server6]/" "http://[$server6]/news"
	web --data 'river=low&gate=open' "http://[$server6]/form"
	stop_recorder
	gzip -9nc "$tmp/out/http.pcap" >"$tmp/out/http.pcap.gz"
	editcap -C 14 -L -T rawip -F pcap "$tmp/out/http.pcap" "$tmp/out/raw.pcap" # without the Ethernet header
}

record_tls() {
	pcapng tls.pcapng --capture-comment 'curl over TLS 1.3 between two namespaces; SNI example.test'
	tls --resolve "example.test:443:$server4" https://example.test/
	tls --resolve "example.test:443:[$server6]" https://example.test/news
	tls --resolve "split.example.test:8443:$server4" https://split.example.test:8443/
	stop_recorder
	forget_machine "$tmp/out/tls.pcapng"
}

record_dns() {
	pcap dns.pcap
	dns "@$server4" www.example.test A
	dns "@$server4" www.example.test AAAA
	dns "@$server4" alias.example.test A
	dns "@$server4" example.test TXT
	dns "@$server4" missing.example.test A
	dns "@$server4" +noedns ads.example A
	dns "@$server4" +tcp ads.example AAAA
	dns "@$server6" ads.example A
	stop_recorder
}

record_ping() {
	pcap ping.pcap
	forget_neighbours
	echoes -c 3 "$server4"
	echoes -c 3 "$server6"
	echoes -c 2 -s 4000 "$server4"
	echoes -c 2 -s 4000 "$server6"
	stop_recorder
	know_neighbours
}

record_iperf3() {
	pcap iperf3.pcap
	burst -n 200K -l 8K
	burst -u -n 6000 -l 1200 -b 1M
	stop_recorder
}

refused_and_reset() { # refused_and_reset SERVER
	peer tcp-closed "$1" 81
	peer udp-closed "$1" 9
	peer reset-by-server "$1"
	peer reset-by-client "$1"
}

record_refused() {
	pcap refused.pcap
	refused_and_reset "$server4"
	refused_and_reset "$server6"
	stop_recorder
}

record_mixed() {
	local address large
	printf -v large '%3000s' 'a datagram in three fragments'
	pcapng mixed.pcapng --capture-comment 'a little of everything; the local host is 10.77.0.1 and fd77::1'
	forget_neighbours
	for address in "$server4" "$server6"; do
		echoes -c 2 "$address"
		echoes -c 1 -s 4000 "$address"
		peer udp "$address" 7 'hello weir' 'hello weir, again' "$large"
	done
	dns "@$server4" www.example.test A
	dns "@$server4" ads.example A
	dns "@$server6" ads.example AAAA
	dns "@$server4" missing.example.test A
	dns "@$server4" +tcp example.test TXT
	web "http://$server4:8080/" "http://$server4:8080/news"
	web "http://[$server6]:8080/"
	web --header 'Host: blocked.example' "http://$server4/"
	web --data 'river=low&gate=open' "http://$server4/form"
	tls --resolve "example.test:443:$server4" https://example.test/
	peer telnet "$server4" weir 'the secret is out' quit
	peer telnet "$server6" weir 'secret six' quit
	refused_and_reset "$server4"
	refused_and_reset "$server6"
	unasked
	stop_recorder
	forget_machine "$tmp/out/mixed.pcapng"
	know_neighbours
}

# What comes in without having been asked for: the server turns to the client.
unasked() {
	server ping -n -q -c 1 -W 2 "$client4" >>"$tmp/log"
	server ping -n -q -c 1 -W 2 "$client6" >>"$tmp/log"
	server "$python" "$here/peers.py" tcp-closed "$client4" 22
	server "$python" "$here/peers.py" tcp-closed "$client6" 22
	server "$python" "$here/peers.py" udp-closed "$client4" 161
}

# Only the client's end offloads, as an ordinary host does: what it sends is
# captured before the device would compute checksums and cut segments.
record_offload() {
	offload "$client_ns" client0 on
	pcap offload.pcap
	web "http://$server4/" "http://$server4/large"
	web --data "$(printf '%20000s' tail)" "http://$server4/form"
	web --data "$(printf '%20000s' tail)" "http://[$server6]/form"
	burst -n 96K -l 48K
	stop_recorder
	offload "$client_ns" client0 off
}

record_cooked() {
	local version
	for version in 2 ''; do
		start_recorder "cooked${version:--v1}.pcap" exec_in "$client_ns" tcpdump -i any -y "LINUX_SLL$version" "${flags[@]}"
		echoes -c 1 "$server4"
		echoes -c 1 "$server6"
		echoes -c 1 127.0.0.1
		web "http://$server4/"
		stop_recorder
	done
	mv "$tmp/out/cooked2.pcap" "$tmp/out/cooked.pcap"
}

record_loopback() {
	start_recorder loopback.pcap exec_in "$server_ns" tcpdump -i lo "${flags[@]}"
	server ping -n -q -c 2 -i 0.2 127.0.0.1 >>"$tmp/log"
	server ping -n -q -c 2 -i 0.2 ::1 >>"$tmp/log"
	server curl -q -sS --max-time 5 http://127.0.0.1:8080/ >/dev/null
	server curl -q -sS --max-time 5 'http://[::1]:8080/news' >/dev/null
	server dig -r +tries=1 +time=3 @127.0.0.1 www.example.test A >>"$tmp/log"
	stop_recorder
}

record_nano() {
	pcap nano.pcap --time-stamp-precision=nano
	echoes -c 2 "$server4"
	peer udp "$server4" 7 'hello weir' 'hello weir, again'
	web "http://$server4/"
	stop_recorder
}

# --- what is kept ------------------------------------------------------------

# The second and third cell of each row of README.md's table that starts with
# a file's name are its packets and bytes.
update_readme() {
	awk -F'\t' -v readme="$here/README.md" '
		FNR == NR { packets[$1] = $4; bytes[$1] = $5; next }
		{ name = $0; sub(/^\| `/, "", name); sub(/`.*/, "", name) }
		/^\| `/ && name in packets {
			split($0, cell, " \\| "); head = cell[1]
			rest = substr($0, length(head cell[2] cell[3]) + 10)
			$0 = head " | " packets[name] " | " bytes[name] " | " rest
		}
		{ print }' "$here/manifest.tsv" "$here/README.md" >"$tmp/README.md"
	cat "$tmp/README.md" >"$here/README.md"
}

main() {
	local name total
	case ${1-} in -h | --help) usage && exit 0 ;; esac
	(($# > 0)) || set -- "${names[@]}"
	for name; do
		[[ " ${names[*]} " == *" $name "* ]] || { echo "record.sh: no capture is named '$name'" >&2 && usage >&2 && exit 2; }
	done
	require_packages
	((EUID == 0)) || { echo "record.sh: network namespaces need root; run it with sudo" >&2 && exit 2; }
	exec 9>"$lock"
	flock -n 9 || { echo "record.sh: another run holds $lock; wait for it" >&2 && exit 1; }
	tmp=$(mktemp -d -t weir-record.XXXXXX)
	trap clean_up EXIT
	trap 'exit 1' INT TERM HUP
	mkdir "$tmp/out"

	make_laboratory
	for name; do
		"record_$name"
	done
	"$here/verify.sh" "$tmp"/out/* >>"$tmp/log"
	chmod 644 "$tmp"/out/* # dumpcap's are private
	mv "$tmp"/out/* "$here/"
	"$here/verify.sh" "$here"/*.pcap* >"$tmp/manifest.tsv"
	cat "$tmp/manifest.tsv" >"$here/manifest.tsv"
	update_readme
	total=$(awk '{ sum += $5 } END { print sum }' "$here/manifest.tsv")
	awk -F'\t' '{ printf "%-16s %8s %9s\n", $1, $4, $5 }' "$here/manifest.tsv"
	((total <= total_bytes_max)) && return
	echo "record.sh: $total bytes in all, more than $total_bytes_max; make a capture smaller" >&2
	exit 1
}

main "$@"
