# shellcheck shell=bash
# The laboratory that record.sh records in, and sources this file for: two
# network namespaces, client0 === server0 between them (a veth pair), and the
# servers. The caller sets here (this folder) and tmp (a folder that it removes,
# with the file log).
# shellcheck disable=SC2154 # here and tmp are the caller's

readonly client_ns=weir-record-client server_ns=weir-record-server
readonly client4=10.77.0.1 client6=fd77::1 server4=10.77.0.2 server6=fd77::2
readonly client_mac=02:00:00:00:77:01 server_mac=02:00:00:00:77:02
readonly python=/usr/bin/python3

# Programs get a clean environment: no proxy, no rc file of the user.
# They replace the (sub)shell, so $! is the program itself, and do not inherit
# the lock: what a killed run leaves behind must not hold up the next one.
exec_in() {
	local ns=$1
	shift
	exec ip netns exec "$ns" env -i PATH="$PATH" HOME="$tmp" LC_ALL=C "$@" 9>&-
}
client() { (exec_in "$client_ns" "$@"); }
server() { (exec_in "$server_ns" "$@"); }

remove_namespaces() {
	local ns pids
	for ns in "$client_ns" "$server_ns"; do
		[[ -e /run/netns/$ns ]] || continue
		pids=$(ip netns pids "$ns")
		# shellcheck disable=SC2086 # one word per process
		[[ -z $pids ]] || kill $pids 2>/dev/null || true
		ip netns del "$ns"
	done
}

clean_up() {
	local status=$?
	trap - EXIT
	if ((status != 0)) && [[ -s $tmp/log ]]; then
		echo "record.sh: failed; the programs' last words:" >&2
		tail -n 20 "$tmp/log" >&2
	fi
	remove_namespaces
	[[ -z $tmp ]] || rm -rf "$tmp"
	exit "$status"
}

# No link-local addresses and no duplicate address detection: the kernel then
# sends nothing by itself that would differ from one recording to the next.
make_end() {
	local ns=$1 device=$2 mac=$3 address4=$4 address6=$5
	ip -n "$ns" link set lo up
	ip netns exec "$ns" sysctl -qw "net.ipv6.conf.$device.accept_ra=0" \
		"net.ipv6.conf.$device.mldv2_unsolicited_report_interval=10"
	ip -n "$ns" link set "$device" address "$mac" addrgenmode none
	ip -n "$ns" link set "$device" up
	ip -n "$ns" address add "$address4/24" dev "$device"
	ip -n "$ns" address add "$address6/64" dev "$device" nodad
}

# Spares every capture but ping and mixed, which call forget_neighbours, the
# ARP and neighbour discovery packets.
know_neighbours() {
	local address
	for address in "$server4" "$server6"; do
		ip -n "$client_ns" neigh replace "$address" lladdr "$server_mac" dev client0 nud permanent
	done
	for address in "$client4" "$client6"; do
		ip -n "$server_ns" neigh replace "$address" lladdr "$client_mac" dev server0 nud permanent
	done
}
forget_neighbours() {
	ip -n "$client_ns" neigh del "$server4" dev client0
	ip -n "$client_ns" neigh del "$server6" dev client0
}

offload() { # offload NS DEVICE on|off
	ip netns exec "$1" ethtool -K "$2" rx "$3" tx "$3" tso "$3" gso "$3" gro "$3" >>"$tmp/log" 2>&1
}

# lo computes no transport checksums and cannot be told to; the CHECKSUM
# target, made for that, fills them in before a packet reaches the device.
fill_loopback_checksums() {
	local tables protocol
	server ethtool -K lo tso off gso off gro off
	for tables in iptables ip6tables; do
		for protocol in tcp udp; do
			server "$tables" -t mangle -A OUTPUT -o lo -p "$protocol" -j CHECKSUM --checksum-fill
		done
	done
}

make_laboratory() {
	remove_namespaces # of a run that was killed
	ip netns add "$client_ns"
	ip netns add "$server_ns"
	ip link add client0 netns "$client_ns" type veth peer name server0 netns "$server_ns"
	offload "$client_ns" client0 off
	offload "$server_ns" server0 off
	make_end "$client_ns" client0 "$client_mac" "$client4" "$client6"
	make_end "$server_ns" server0 "$server_mac" "$server4" "$server6"
	know_neighbours
	fill_loopback_checksums >>"$tmp/log" 2>&1
	start_servers
	sleep 1 # the multicast reports of the new addresses go out now, into no capture
}

# --- servers -----------------------------------------------------------------

wait_for() { # wait_for WHAT COMMAND...
	local what=$1 try
	shift
	for ((try = 0; try < 100; try++)); do
		"$@" && return
		sleep 0.1
	done
	echo "record.sh: $what did not start within 10 seconds" >&2
	return 1
}
listens() { [[ -n $(ip netns exec "$server_ns" ss -Hn "-l$1" "sport = :$2") ]]; }

start_servers() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
		-subj /CN=example.test -addext subjectAltName=DNS:example.test,DNS:split.example.test \
		-keyout "$tmp/key.pem" -out "$tmp/cert.pem" >>"$tmp/log" 2>&1
	exec_in "$server_ns" "$python" "$here/peers.py" serve "$tmp/cert.pem" "$tmp/key.pem" "$tmp/ready" >>"$tmp/log" 2>&1 &
	exec_in "$server_ns" dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --pid-file= --log-facility=- \
		--no-resolv --no-hosts --local=/test/ --local=/example/ \
		--host-record=www.example.test,10.77.0.2,fd77::2 --cname=alias.example.test,www.example.test \
		--host-record=ads.example,192.0.2.66,2001:db8::66 \
		--txt-record=example.test,"a weir diverts a river under control" >>"$tmp/log" 2>&1 &
	exec_in "$server_ns" iperf3 --server >>"$tmp/log" 2>&1 &
	wait_for peers.py test -e "$tmp/ready"
	wait_for dnsmasq listens u 53
	wait_for iperf3 listens t 5201
}
