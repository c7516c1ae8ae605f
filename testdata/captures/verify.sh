#!/usr/bin/env bash
# Checks captures with tshark and prints their lines of manifest.tsv.
#
#   usage: verify.sh FILE...     verify.sh *.pcap* | diff manifest.tsv -
#
# Every packet must be whole and well formed, and every checksum right, but in
# offload.pcap: there what the client sent must carry unfinished checksums and
# exceed the MTU, and what the server sent must be right.
# Needs tshark and capinfos, no privileges. Exit status: 0 good, 1 not, 2 wrong usage.
set -euo pipefail
export LC_ALL=C

# First fragments carry no checksum that can be checked alone: tshark checks the
# reassembled packet at its last fragment.
readonly options=(-o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE
	-o ip.defragment:TRUE -o ipv6.defragment:TRUE)
readonly bad='ip.checksum.status==0||tcp.checksum.status==0||udp.checksum.status==0||icmp.checksum.status==0||icmpv6.checksum.status==0'

config=$(mktemp -d -t weir-verify.XXXXXX) # not the user's preferences
trap 'rm -rf "$config"' EXIT

shark() { HOME=$config tshark -n "${options[@]}" -r "$@" 2>"$config/errors" || { cat "$config/errors" >&2 && return 1; }; }
count() { shark "$1" -Y "$2" | wc -l; }

wrong() {
	echo "verify.sh: ${1##*/}: $2" >&2
	exit 1
}

check() { # check FILE
	local damaged bad_packets large_packets bad_from_server
	damaged=$(count "$1" '_ws.malformed || frame.cap_len < frame.len')
	((damaged == 0)) || wrong "$1" "$damaged packets are malformed or cut"
	bad_packets=$(count "$1" "$bad")
	if [[ $1 != */offload.pcap ]]; then
		((bad_packets == 0)) || wrong "$1" "$bad_packets packets have a bad checksum"
		return
	fi
	large_packets=$(count "$1" 'frame.len > 1514 && ip.src == 10.77.0.1')
	((bad_packets > 0 && large_packets > 0)) || wrong "$1" "the device did not offload"
	bad_from_server=$(count "$1" "ip.src == 10.77.0.2 && frame.len <= 1514 && ($bad)")
	((bad_from_server == 0)) || wrong "$1" "$bad_from_server packets from the server have a bad checksum"
}

# describe FILE prints its line of manifest.tsv. Protocols are counted by the
# number in the IP header, so each fragment counts too.
describe() {
	local format link
	read -r format link < <(capinfos -t -E -T -m -r "$1" | awk -F, '{ print $2, $3 }')
	case $link in
	ether) link=1 ;; rawip) link=101 ;; linux-sll) link=113 ;; linux-sll2) link=276 ;;
	*) wrong "$1" "unexpected link type $link" ;;
	esac
	shark "$1" -T fields -E occurrence=f -e ip.proto -e ipv6.nxt -e ipv6.fraghdr.nxt -e ip.flags.mf -e ip.frag_offset |
		awk -F'\t' -v OFS='\t' -v file="${1##*/}" -v format="$format" -v link="$link" \
			-v bytes="$(stat -c %s "$1")" -v bad="$(count "$1" "$bad")" '
			$1 != "" { ip4++ }
			$1 == "" && $2 != "" { ip6++ }
			$1 == "" && $2 == "" { other++ }
			$4 == 1 || $4 == "True" || $5 > 0 || $2 == 44 { fragments++ }
			{ protocol[$1 != "" ? $1 : $2 == 44 ? $3 : $2]++ }
			END { print file, format, link, NR, bytes, ip4+0, ip6+0, other+0,
				protocol[6]+0, protocol[17]+0, protocol[1]+protocol[58], fragments+0, bad }'
}

(($# > 0)) || { sed -n 's/^#   //p' "$0" >&2 && exit 2; }
printf '%s\t' file format link_type packets bytes ipv4 ipv6 other tcp udp icmp fragments
printf 'bad_checksums\n'
for file; do
	check "$(realpath "$file")"
	describe "$file"
done
