package livetest

import (
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirnet/weir/internal/nettest"
)

// A connection that the policy rejects fails at once, by a reset that the program injects inbound; -w has it.
func TestReject(t *testing.T) {
	b := newBench(t, nettest.Program("tcpdump", "tcpdump"))
	out := filepath.Join(t.TempDir(), "out.pcapng")
	p := start(t, b.here.NS, "running", "run", "--json", "-w", out, policyFile(t, `
driver: {backend: nfqueue}
filters:
  - {name: no-8080, layer: outbound-transport, when: "tcp.DstPort == 8080", action: callout, callout: refuse, type: terminating}
callouts:
  - {name: refuse, type: reject}
`))
	for _, addr := range []netip.Addr{b.there.V4, b.there.V6} {
		var l net.Listener
		var err error
		b.there.NS.Do(func() { l, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 8080))) })
		if err != nil {
			t.Fatal(err)
		}
		b.here.NS.Do(func() { _, err = net.DialTimeout("tcp", l.Addr().String(), patience) })
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v: %v, want connection refused", addr, err)
		}
		_ = l.(*net.TCPListener).SetDeadline(time.Now().Add(50 * time.Millisecond))
		if c, err := l.Accept(); err == nil {
			t.Errorf("%v: a connection came from %v", addr, c.RemoteAddr())
		}
		_ = l.Close()
	}
	if r := p.end(); r.Injected != 2 || r.Completed != 2 || r.DroppedBy["rejected"] != 2 || r.Lost != 0 {
		t.Errorf("%s; dropped by %v, lost %d", r.Law(), r.DroppedBy, r.Lost)
	}
	text, err := exec.Command("tcpdump", "-n", "-r", out, "src port 8080").Output()
	if err != nil || strings.Count(string(text), "Flags [R.]") != 2 {
		t.Errorf("tcpdump: %s, %v; want two resets", text, err)
	}
	b.sound()
	b.leftNothing()
}

// Two programs divert the same packets, the one with the higher priority first; either may end first.
func TestTwoPrograms(t *testing.T) {
	for _, upperFirst := range []bool{false, true} {
		b := newBench(t)
		const handles = "\ndriver: {backend: nfqueue}\nhandles: [{layer: network, filter: \"outbound and udp\", priority: "
		lower := start(t, b.here.NS, "running", "run", "--json", policyFile(t, handles+"-5}]\n"))
		upper := start(t, b.here.NS, "running", "run", "--json", policyFile(t, handles+`5}]
filters: [{name: no-echo, layer: outbound-transport, when: "udp.DstPort == 7", action: block}]
`))
		passed, blocked := b.sink(8), b.sink(7)
		b.send(passed, some)
		b.send(blocked, some)
		if got := passed.Wait(some); got.Received != some {
			t.Errorf("%+v", got)
		}
		first, second := lower, upper
		if upperFirst {
			first, second = upper, lower
		}
		r := map[*process]uint64{}
		for _, p := range []*process{first, second} {
			r[p] = p.end().Received
			after := b.sink(9 + uint16(len(r)))
			b.send(after, 10) // through the other, or through none
			if got := after.Wait(10); got.Received != 10 {
				t.Errorf("after %d ended: %+v", len(r), got)
			}
		}
		if r[upper] < 2*some || r[lower] < some || r[lower] > some+10 {
			t.Errorf("the upper received %d, want %d and up to 10 more; the lower %d, want %d", r[upper], 2*some, r[lower], some)
		}
		b.leftNothing()
	}
}
