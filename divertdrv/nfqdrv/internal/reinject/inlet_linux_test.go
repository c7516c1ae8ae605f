package reinject

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/netlink"
	"github.com/weirnet/weir/internal/nettest"
)

func dial(t *testing.T, ns *nettest.Namespace) *netlink.Conn {
	t.Helper()
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, ns.FD())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func linkNamed(t *testing.T, ns *nettest.Namespace, name string) link {
	t.Helper()
	d, err := findLink(dial(t, ns), name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func exists(t *testing.T, ns *nettest.Namespace, name string) bool {
	t.Helper()
	_, err := findLink(dial(t, ns), name)
	if err != nil && !errors.Is(err, unix.ENODEV) {
		t.Fatal(err)
	}
	return err == nil
}

// All injectors of a namespace share one inlet; the last takes it along. Namespaces do not share.
func TestInletIsShared(t *testing.T) {
	needs(t)
	one, two := nettest.NewNamespace(t), nettest.NewNamespace(t)
	var ins []*Injector
	for range 3 {
		ins = append(ins, openIn(t, one, Config{Inbound: true}))
	}
	other := openIn(t, two, Config{Layer: divertdrv.NetworkForward})
	if !exists(t, one, "weir0") || exists(t, one, "weir1") || !exists(t, two, "weir0") {
		t.Fatal("not one inlet for each namespace")
	}
	for i, in := range ins {
		if !exists(t, one, "weir0") {
			t.Fatalf("gone with %d users", len(ins)-i)
		}
		if err := errors.Join(in.Close(), in.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if exists(t, one, "weir0") || !exists(t, two, "weir0") {
		t.Error("one must be gone, the other not")
	}
	if n, err := ins[0].Inject(packets(nil, nil)); n != 0 || !errors.Is(err, divertdrv.ErrClosed) {
		t.Errorf("inject after close: %d, %v", n, err)
	}
	other.Close()
}

// The inlet has no addresses and no carrier, so nobody else sends on it; what is sent all the same reaches nobody.
func TestInletIsQuiet(t *testing.T) {
	needs(t)
	nettest.Need(t, nettest.Program("ip", "iproute2"))
	a, b := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	in := openIn(t, a.NS, Config{Inbound: true})
	inlet := in.inbound.inlet
	out := a.NS.Command("ip", "-d", "address", "show", "dev", "weir0")
	if strings.Contains(out, "inet") || !strings.Contains(out, "NO-CARRIER") || !strings.Contains(out, "mtu 65535") {
		t.Errorf("the inlet is\n%s", out)
	}
	seen := sniff(t, a)
	given := udp(t, b.V4, a.V4, 5000, []byte("of somebody else"))
	var fd int
	a.NS.Do(func() { fd, _ = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0) })
	defer unix.Close(fd)
	frame := append(append(a.MAC, 0, 0, 0, byte(a.Index), 0, 0, 8, 0), given...)
	err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: inlet.index, Protocol: 8})
	if !errors.Is(err, unix.ENOBUFS) {
		t.Errorf("a stranger's frame: %v", err)
	}
	seen.refuse(given)
}

// Devices of others are left alone, also when they have the name; what a dead process left goes.
func TestInletNumbers(t *testing.T) {
	needs(t)
	nettest.Need(t, nettest.Program("ip", "iproute2"))
	ns := nettest.NewNamespace(t)
	a, b := nettest.Pair(t, ns, nettest.NewNamespace(t))
	ns.Command("ip", "link", "add", "weir0", "type", "veth", "peer", "name", "foreign")
	ns.Command("ip", "link", "add", "weir1", "address", "02:77:65:69:72:01", "type", "veth", "peer", "name", "stale")
	before := linkNamed(t, ns, "weir0")
	in := openIn(t, ns, Config{Inbound: true})
	if linkNamed(t, ns, "weir0") != before || exists(t, ns, "stale") || !exists(t, ns, "weir1") {
		t.Error(ns.Command("ip", "link"))
	}
	// The number is held although the device is down, and then went.
	for _, harm := range []string{"set weir1 down", "del weir1"} {
		ns.Command("sh", "-c", "ip link "+harm)
		_, err := in.Inject(packets(inboundOn(a.Index), udp(t, b.V4, a.V4, 5000, nil)))
		if !errors.Is(err, divertdrv.ErrUnreachable) || !strings.Contains(err.Error(), "our device") {
			t.Errorf("%s: %v", harm, err)
		}
	}
	var fd int
	var err error
	ns.Do(func() { fd, err = lockNumber(1) })
	if !errors.Is(err, unix.EADDRINUSE) {
		unix.Close(fd)
		t.Errorf("number 1: %v", err)
	}
	if err := in.Close(); err != nil {
		t.Errorf("close without the device: %v", err)
	}
}

// After kill -9 the kernel removes the device by itself.
func TestInletDiesWithProcess(t *testing.T) {
	needs(t)
	ns := nettest.NewNamespace(t)
	v := startVictim(t, ns, -1)
	if v.said != "open" || !exists(t, ns, "weir0") {
		t.Fatalf("the victim says %q", v.said)
	}
	v.kill()
	for until := time.Now().Add(arriveTime); exists(t, ns, "weir0"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the device outlives its process")
		}
	}
}

// Without CAP_SYS_ADMIN both ends are here. It works, goes on close, and what a kill leaves goes with the next.
func TestInletWithoutSysAdmin(t *testing.T) {
	needs(t)
	ns := nettest.NewNamespace(t)
	a, b := nettest.Pair(t, ns, nettest.NewNamespace(t))
	l := listen(t, ns, unix.AF_INET, 5000)
	for _, end := range []func(v *victim){(*victim).kill, (*victim).finish} {
		v := startVictim(t, ns, unix.CAP_SYS_ADMIN, fmt.Sprint(a.Index), hex.EncodeToString(udp(t, b.V4, a.V4, 5000, []byte("in"))))
		if v.said != "open" || !exists(t, ns, "weir0-peer") || exists(t, ns, "weir1") {
			t.Fatalf("the victim says %q", v.said)
		}
		if _, index, err := l.receive(); err != nil || index != a.Index {
			t.Errorf("on %d, %v", index, err)
		}
		end(v)
	}
	if exists(t, ns, "weir0") {
		t.Error("the device outlives Close")
	}
}

// Without a capability the error says which, and nothing is left.
func TestOpenWithoutCapability(t *testing.T) {
	needs(t)
	ns := nettest.NewNamespace(t)
	for name, capability := range map[string]int{"CAP_NET_RAW": unix.CAP_NET_RAW, "CAP_NET_ADMIN": unix.CAP_NET_ADMIN} {
		v := startVictim(t, ns, capability)
		v.finish()
		if !strings.Contains(v.said, name) || !strings.Contains(v.said, divertdrv.ErrAccess.Error()) {
			t.Errorf("without %s: %s", name, v.said)
		}
		if exists(t, ns, "weir0") {
			t.Errorf("without %s something is left", name)
		}
	}
}

// The way for kernels without tcx does the same.
func TestInletByClsact(t *testing.T) {
	needs(t)
	nettest.Need(t, nettest.Program("ip", "iproute2"))
	ns := nettest.NewNamespace(t)
	a, b := nettest.Pair(t, ns, nettest.NewNamespace(t))
	in := openIn(t, ns, Config{Inbound: true})
	tcx := in.inbound.inlet.closer
	_ = tcx[len(tcx)-1]() // detach what was attached by tcx
	in.inbound.inlet.closer = tcx[:len(tcx)-1]
	prog, err := newProgram(in.inbound.inlet.senders)
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	if err := attachFilter(dial(t, ns), in.inbound.inlet.index, prog); err != nil {
		nettest.Lacks(t, err)
	}
	l := listen(t, ns, unix.AF_INET, 5000)
	mustInject(t, in, packets(inboundOn(a.Index), udp(t, b.V4, a.V4, 5000, []byte("in"))))
	if _, index, err := l.receive(); err != nil || index != a.Index {
		t.Errorf("on %d, %v", index, err)
	}
}

// Opening and closing, also at once, leaves no descriptor, device or program behind.
func TestNothingLeaks(t *testing.T) {
	needs(t)
	ns := nettest.NewNamespace(t)
	cycle := func() {
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				in, err := Open(Config{Inbound: i%2 == 0, Source: source, Namespace: ns.FD()})
				if err != nil {
					t.Error(err)
					return
				}
				if err := in.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	cycle()
	fds := descriptors(t)
	for range 10 {
		cycle()
	}
	if now := descriptors(t); now != fds {
		t.Errorf("%d descriptors, before %d", now, fds)
	}
	if exists(t, ns, "weir0") || exists(t, ns, "weir1") {
		t.Error("a device is left")
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}
