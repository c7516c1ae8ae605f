package nettest

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func both(l *Link) []netip.Addr { return []netip.Addr{l.V4, l.V6} }

func TestRoutedCarriesTraffic(t *testing.T) {
	Need(t, Root)
	r := NewRouted(t)
	before := r.Server.NS.Counters()
	for _, to := range both(r.Server) {
		t.Run(to.String(), func(t *testing.T) {
			for _, size := range []int{0, 56, 4000} {
				if n, err := Ping(r.Client.NS, to, Echo{Count: 3, Size: size}); n != 3 || err != nil {
					t.Fatalf("ping with %d bytes: %d of 3 answered, %v", size, n, err)
				}
			}
			sink := ListenUDP(t, r.Server.NS, netip.AddrPortFrom(to, 0))
			SendUDP(t, r.Client.NS, sink.Addr(), Stream{Count: 1000, Size: 200, First: 5})
			if got := sink.Wait(1000); got != (Arrival{Received: 1000}) {
				t.Fatalf("arrived: %+v", got)
			}
			if tr := MustTransferTCP(t, r.Client.NS, r.Server.NS, to, 4<<20); tr.Bytes != 4<<20 {
				t.Fatalf("%+v", tr)
			}
		})
	}
	since := r.Server.NS.Counters().Since(before)
	if since["Tcp.PassiveOpens"] != 2 || since["Udp.InDatagrams"] != 1000 || since["Udp6InDatagrams"] != 1000 {
		t.Fatalf("the counters do not tell what was sent: %v", since)
	}
	if n := since.BadChecksums(); n != 0 {
		t.Fatalf("%d bad checksums", n)
	}
	if tr := r.Router.Counters()["IpExt.InOctets"]; tr == 0 {
		t.Fatal("the traffic did not pass the router")
	}
}

func TestLoopbackIsUp(t *testing.T) {
	Need(t, Root)
	ns := NewNamespace(t)
	for _, to := range []string{"127.0.0.1", "::1"} {
		if n, err := Ping(ns, netip.MustParseAddr(to), Echo{Count: 1}); n != 1 || err != nil {
			t.Fatalf("ping %s: %d, %v", to, n, err)
		}
	}
}

func TestWhatIsNotThereDoesNotAnswer(t *testing.T) {
	Need(t, Root)
	a, b := Pair(t, NewNamespace(t), NewNamespace(t))
	if n, err := Ping(a.NS, netip.MustParseAddr("192.0.2.1"), Echo{Count: 1}); n != 0 || !errors.Is(err, unix.ENETUNREACH) {
		t.Fatalf("ping without a route: %d, %v", n, err)
	}
	b.NS.Sysctl("ipv4/icmp_echo_ignore_all", "1")
	if n, err := Ping(a.NS, b.V4, Echo{Count: 1, Wait: 50 * time.Millisecond}); n != 0 || err != nil {
		t.Fatalf("ping to a host that does not answer: %d, %v", n, err)
	}
	if _, err := TransferTCP(a.NS, b.NS, netip.MustParseAddrPort("192.0.2.1:1"), 1, 1); err == nil {
		t.Fatal("a listener on a foreign address")
	}
}

func TestSinkTellsWhatIsWrong(t *testing.T) {
	Need(t, Root)
	a, b := Pair(t, NewNamespace(t), NewNamespace(t))
	sink := ListenUDP(t, b.NS, netip.AddrPortFrom(b.V4, 0))
	for _, first := range []uint32{10, 12, 11, 14, 14} {
		SendUDP(t, a.NS, sink.Addr(), Stream{Count: 1, Size: 20, First: first})
	}
	sink.take(append([]byte{0, 0, 0, 1, 0, 0, 0, 9}, 7)) // the last byte should be 9
	want := Arrival{Received: 4, Duplicates: 1, Reordered: 1, Damaged: 1, Missing: 1}
	if got := sink.WaitQuiet(5, 100*time.Millisecond); got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

func TestMTUAndOffloads(t *testing.T) {
	Need(t, Root)
	a, b := Pair(t, NewNamespace(t), NewNamespace(t))
	for _, l := range []*Link{a, b} {
		l.SetMTU(9000)
		l.SetOffloads(false, Offloads...)
		for _, o := range Offloads {
			if l.Offloaded(o) {
				t.Errorf("offload %#x of %s is still on", uint32(o), l.Name)
			}
		}
	}
	before := b.NS.Counters()
	if n, err := Ping(a.NS, b.V4, Echo{Count: 1, Size: 8000}); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if since := b.NS.Counters().Since(before); since["Ip.ReasmReqds"] != 0 {
		t.Fatalf("8,000 bytes were fragmented at an MTU of 9,000: %v", since)
	}
	a.SetOffloads(true, TxChecksum)
	if !a.Offloaded(TxChecksum) {
		t.Fatal("TxChecksum is off")
	}
	MustTransferTCP(t, a.NS, b.NS, b.V6, 1<<20)
}

func TestProgramsRunInside(t *testing.T) {
	Need(t, Root, Program("cat", "coreutils"))
	a, _ := Pair(t, NewNamespace(t), NewNamespace(t))
	if out := a.NS.Command("cat", "/proc/self/net/dev"); !strings.Contains(out, a.Name) {
		t.Fatalf("no %s in:\n%s", a.Name, out)
	}
	if out, err := a.NS.Run("cat", "/nonexistent"); err == nil || !strings.Contains(err.Error(), "nonexistent") {
		t.Fatalf("%q, %v", out, err)
	}
	cmd := exec.Command("true")
	if err := a.NS.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestRequirements(t *testing.T) {
	if err := Kernel(2, 6)(); err != nil {
		t.Error(err)
	}
	for name, need := range map[string]Requirement{
		"kernel":  Kernel(99, 0),
		"program": Program("no-such-program", "none"),
	} {
		if need() == nil {
			t.Errorf("%s: met", name)
		}
	}
}

// leavings are the things of this process that a namespace could leave behind.
func leavings(t *testing.T) (fds int, namespaces map[string]bool) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	threads, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	namespaces = make(map[string]bool)
	for _, p := range threads {
		if ns, err := os.Readlink(p); err == nil { // a thread may just have ended
			namespaces[ns] = true
		}
	}
	return len(entries), namespaces
}

func TestNothingIsLeft(t *testing.T) {
	Need(t, Root)
	once := func(t *testing.T) {
		r := NewRouted(t)
		if n, err := Ping(r.Client.NS, r.Server.V4, Echo{Count: 1}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		MustTransferTCP(t, r.Client.NS, r.Server.NS, r.Server.V6, 1000)
		sink := ListenUDP(t, r.Server.NS, netip.AddrPortFrom(r.Server.V4, 0))
		SendUDP(t, r.Client.NS, sink.Addr(), Stream{Count: 1})
		sink.Wait(1)
	}
	t.Run("first", once) // what the runtime opens once, such as its poller
	before, _ := leavings(t)
	for range 20 {
		t.Run("again", once)
	}
	after, namespaces := leavings(t)
	if after != before {
		t.Errorf("%d descriptors, before %d", after, before)
	}
	if len(namespaces) != 1 {
		t.Errorf("threads of this process are in %d namespaces: %v", len(namespaces), namespaces)
	}
}
