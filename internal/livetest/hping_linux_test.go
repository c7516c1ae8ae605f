package livetest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/nettest"
)

// oddities are command lines of hping3, each of one run: packets that no stack sends by itself. The identification and the numbers
// are given, so that a run sends the same bytes every time.
var oddities = []string{
	"--syn -p 80", "--fin -p 80", "--fin --push --urg -p 80", "--syn --fin --rst --push --ack --urg --xmas --ymas -p 80", "-p 80",
	"--syn --badcksum -p 80", "--syn --win 0 --ttl 1 -p 80", "--syn --tos 10 --tcpoff 15 -p 80", "--ack --data 1 -p 80",
	"--ack --data 7 -p 80", "--ack --data 1459 -p 80", "--syn --data 1200 --frag --mtu 16 -p 80", "--ack --data 3000 --frag --mtu 576 -p 80",
	"--syn --morefrag -p 80", "--syn --fragoff 8 -p 80", "--syn --dontfrag -p 80",
	"--udp --data 0 -p 7", "--udp --data 1 -p 7", "--udp --data 1471 -p 7", "--udp --badcksum --data 33 -p 7",
	"--icmp --data 0", "--icmp --data 1001", "--icmp --icmptype 13", "--icmp --icmptype 17",
	"--rawip --ipproto 253 --data 5", "--rawip --ipproto 253 --data 0", "--rawip --ipproto 254 --data 700 --frag --mtu 64",
}

// hping3 runs all oddities at once, each as a process.
func hping3(t *testing.T, from, to *nettest.Link) {
	t.Helper()
	var all sync.WaitGroup
	failed := make([]error, len(oddities))
	for i, o := range oddities {
		args := strings.Fields(o)
		args = append(args, "--count", "1", "--id", fmt.Sprint(1000+i))
		if !strings.Contains(o, "icmp") && !strings.Contains(o, "rawip") {
			args = append(args, "--baseport", fmt.Sprint(2000+i), "--keep")
		}
		if !strings.Contains(o, "udp") && !strings.Contains(o, "icmp") && !strings.Contains(o, "rawip") {
			args = append(args, "--setseq", "123456", "--setack", "654321")
		}
		all.Go(func() {
			out, err := from.NS.Run("hping3", append(args, to.V4.String())...)
			if err != nil && !strings.Contains(out, "packets transmitted") { // no answer is exit status 1
				failed[i] = fmt.Errorf("%s: %w", o, err)
			}
		})
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		t.Fatal(err)
	}
}

// tap is a packet socket of an end, of what that end receives from the wire.
func tap(t *testing.T, l *nettest.Link) (fd int) {
	t.Helper()
	const all = unix.ETH_P_IP
	var err error
	l.NS.Do(func() {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, all>>8|all&0xff<<8); err == nil {
			err = unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: l.Index, Protocol: all>>8 | all&0xff<<8})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// drain reads what a socket has, until nothing comes for a while, and returns those packets that want names, in the order of their bytes.
func drain(t *testing.T, fd int, want func(b []byte) string) (all []string) {
	t.Helper()
	b := make([]byte, 1<<16)
	for last := time.Now(); time.Since(last) < 200*time.Millisecond; {
		n, from, err := unix.Recvfrom(fd, b, 0)
		if errors.Is(err, unix.EAGAIN) {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		last = time.Now()
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		if name := want(b[:n]); name != "" {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// steady names a packet of an oddity by its bytes, without what hping3 makes up by itself: the identifier of an echo request is a
// process id, and a checksum follows from that. What a sent packet's sender answers to the answers (RST) has no such identification.
func steady(b []byte) string {
	if id := int(b[4])<<8 | int(b[5]); id < 1000 || id >= 1000+len(oddities) {
		return ""
	}
	c := bytes.Clone(b)
	if h := int(c[0]&15) * 4; c[9] == unix.IPPROTO_ICMP && c[6]&0x3f == 0 && c[7] == 0 && len(c) >= h+8 {
		clear(c[h+2 : h+6])
		if c[h] == 13 && len(c) >= h+20 { // a timestamp request has the time
			clear(c[h+8 : h+20])
		}
	}
	return hex.EncodeToString(c)
}

// The wire carries the same packets with the program as without it.
func TestHping3Outbound(t *testing.T) {
	b := newBench(t, nettest.Program("hping3", "hping3"))
	wire := tap(t, b.there)
	hping3(t, b.here, b.there)
	want := drain(t, wire, steady)
	p := b.divert("true")
	hping3(t, b.here, b.there)
	got := drain(t, wire, steady)
	compare(t, got, want)
	p.endPassed(uint64(len(want)))
}

// The host's own stack is given the same packets with the program as without it: raw sockets stand behind the hook.
func TestHping3Inbound(t *testing.T) {
	b := newBench(t, nettest.Program("hping3", "hping3"))
	var raw []int
	for _, proto := range []int{unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_ICMP, 253, 254} {
		var err error
		b.here.NS.Do(func() {
			var fd int
			fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
			raw = append(raw, fd)
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(raw[0]); raw = raw[1:] })
	}
	all := func() (all []string) {
		for _, fd := range raw {
			all = append(all, drain(t, fd, steady)...)
		}
		return all
	}
	hping3(t, b.there, b.here)
	want := all()
	p := b.divert("true")
	hping3(t, b.there, b.here)
	compare(t, all(), want)
	p.endPassed(uint64(len(want)))
}

func compare(t *testing.T, got, want []string) {
	t.Helper()
	t.Logf("%d packets", len(want))
	if len(want) < len(oddities)*3/4 {
		t.Errorf("%d packets of %d oddities arrive without the program", len(want), len(oddities))
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("arrives only without the program: %s", w)
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) {
			t.Errorf("arrives only with the program: %s", g)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d packets with the program, %d without", len(got), len(want))
	}
}
