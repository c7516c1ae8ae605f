package proc

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

const tcp, udp = wire.ProtoTCP, wire.ProtoUDP

const here, there = "10.0.0.1:5000", "1.2.3.4:443"

// An event before the packet, after it within the deadline, and after the deadline.
func TestAsk(t *testing.T) {
	table, c := newTable(t, Options{System: newWorld("curl", "ssh")})
	var a answers
	table.Event(event(epoch, addr.EventConnect, 1, 1, tcp, here, there))
	table.Ask(keyOf(tcp, here, there), false, a.put)
	if len(a.got) != 1 || a.got[0].Name != "curl" || a.got[0].Path != "/bin/curl" {
		t.Fatalf("known: %+v", a.got)
	}
	late := keyOf(tcp, "10.0.0.1:5001", there)
	table.Ask(late, false, a.put)
	table.Ask(late, false, a.put)
	c.Advance(400 * time.Millisecond)
	if len(a.got) != 1 || table.Stats().Waiting != 2 {
		t.Fatalf("answered before the event: %+v", a.got)
	}
	table.Event(event(c.Now(), addr.EventConnect, 2, 2, tcp, "10.0.0.1:5001", there))
	if len(a.got) != 3 || a.got[1].ID != 2 || a.got[2].ID != 2 {
		t.Fatalf("by the event: %+v", a.got)
	}
	table.Ask(keyOf(tcp, "10.0.0.1:5002", there), false, a.put)
	c.Advance(499 * time.Millisecond)
	if len(a.got) != 3 {
		t.Fatal("before the deadline")
	}
	c.Advance(time.Millisecond)
	if len(a.got) != 4 || a.got[3].Known() {
		t.Fatalf("at the deadline: %+v", a.got)
	}
	table.Event(event(c.Now(), addr.EventConnect, 3, 1, tcp, "10.0.0.1:5002", there)) // too late for that one, in time for the next
	table.Ask(keyOf(tcp, "10.0.0.1:5002", there), false, a.put)
	if s := table.Stats(); s.Attributed != 4 || s.Unattributed != 1 || s.Asked != 5 || len(a.got) != 5 {
		t.Errorf("%+v", s)
	}
}

// A look finds what no event told: before the deadline, and not more often than allowed.
func TestAskLooks(t *testing.T) {
	w := newWorld("sshd")
	table, c := newTable(t, Options{System: w})
	var a answers
	k := keyOf(tcp, here, there)
	w.sockets = []Socket{{k, []uint32{1}}}
	table.Ask(k, false, a.put)
	c.Advance(0)
	if len(a.got) != 1 || a.got[0].Name != "sshd" || w.looks != 1 {
		t.Fatalf("%+v after %d looks", a.got, w.looks)
	}
	for range 100 {
		table.Ask(keyOf(tcp, "10.0.0.1:6000", there), false, a.put)
	}
	c.Advance(199 * time.Millisecond)
	if w.looks != 1 {
		t.Errorf("%d looks within the time of one", w.looks)
	}
	c.Advance(time.Minute)
	if len(a.got) != 101 || w.looks > 4 {
		t.Errorf("%d answers, %d looks", len(a.got), w.looks)
	}
	w.broken = errors.New("no rights")
	table.Ask(keyOf(tcp, "10.0.0.1:6001", there), false, a.put)
	c.Advance(time.Minute)
	if s := table.Stats(); s.LooksFailed == 0 || s.Unattributed != 101 {
		t.Errorf("%+v", s)
	}
	if err := table.Look(); !errors.Is(err, w.broken) {
		t.Error(err)
	}
}

// Inbound packets belong to who listens or is bound, and do not wait for an event that comes after them.
func TestInbound(t *testing.T) {
	w := newWorld("nginx", "dnsmasq")
	table, c := newTable(t, Options{System: w})
	table.Event(event(epoch, addr.EventBind, 1, 1, tcp, "0.0.0.0:80", ""))
	table.Event(event(epoch, addr.EventListen, 1, 1, tcp, "0.0.0.0:80", ""))
	table.Event(event(epoch, addr.EventBind, 2, 2, udp, "[::]:53", ""))
	for _, c := range []struct {
		k    Key
		want string
	}{
		{keyOf(tcp, "10.0.0.1:80", there), "nginx"},
		{keyOf(udp, "10.0.0.1:53", there), "dnsmasq"}, // a socket of both families
		{keyOf(udp, "[fd00::1]:53", "[fd00::2]:5"), "dnsmasq"},
		{keyOf(tcp, "[fd00::1]:80", "[fd00::2]:5"), ""}, // 0.0.0.0 is not ::
		{keyOf(udp, "10.0.0.1:80", there), ""},
	} {
		if p, ok := table.Owner(c.k); p.Name != c.want || ok != (c.want != "") {
			t.Errorf("%+v: %+v, want %q", c.k, p, c.want)
		}
	}
	var a answers
	table.Ask(keyOf(tcp, "10.0.0.1:81", there), true, a.put) // a look decides
	c.Advance(0)
	if len(a.got) != 1 || a.got[0].Known() || w.looks != 1 {
		t.Errorf("%+v after %d looks", a.got, w.looks)
	}
	w.sockets = []Socket{{keyOf(tcp, "10.0.0.1:82", ""), []uint32{2}}}
	table.Ask(keyOf(tcp, "10.0.0.1:82", there), true, a.put)
	c.Advance(time.Second)
	if len(a.got) != 2 || a.got[1].Name != "dnsmasq" {
		t.Errorf("%+v", a.got)
	}
	alone, _ := newTable(t, Options{}) // without looks there is nothing to wait for
	alone.Ask(keyOf(tcp, here, there), true, a.put)
	if len(a.got) != 3 || a.got[2].Known() {
		t.Errorf("%+v", a.got)
	}
}

// What several have open is told as far as they agree.
func TestShared(t *testing.T) {
	w := newWorld("nginx", "nginx", "other")
	table, _ := newTable(t, Options{System: w})
	w.sockets = []Socket{
		{keyOf(tcp, "10.0.0.1:80", ""), []uint32{1, 2}},
		{keyOf(tcp, "10.0.0.1:81", ""), []uint32{1, 3}},
		{keyOf(tcp, "10.0.0.1:82", ""), []uint32{3}},
		{keyOf(tcp, "10.0.0.1:82", ""), []uint32{3}}, // two sockets of one process
		{keyOf(tcp, "10.0.0.1:83", ""), nil},
	}
	if err := table.Look(); err != nil {
		t.Fatal(err)
	}
	var a answers
	for _, local := range []string{"10.0.0.1:80", "10.0.0.1:81", "10.0.0.1:82"} {
		table.Ask(keyOf(tcp, local, there), true, a.put)
	}
	if a.got[0] != (Process{Name: "nginx", Path: "/bin/nginx"}) || a.got[1].Known() || a.got[2].ID != 3 {
		t.Errorf("%+v", a.got)
	}
	if s := table.Stats(); s.Shared != 1 || s.Unattributed != 1 || s.Remembered != 3 {
		t.Errorf("%+v", s)
	}
}

// A closed connection is remembered for its last packets, and then not; a socket that a look does not see any more too.
func TestClose(t *testing.T) {
	w := newWorld("a", "b")
	table, c := newTable(t, Options{System: w})
	name := func(k Key) string { p, _ := table.Owner(k); return p.Name }
	k, bound := keyOf(tcp, here, there), keyOf(tcp, here, "")
	table.Event(event(epoch, addr.EventBind, 1, 1, tcp, here, ""))
	table.Event(event(epoch, addr.EventConnect, 1, 1, tcp, here, there))
	table.Event(event(epoch, addr.EventClose, 1, 1, tcp, here, there))
	if name(k) != "a" || name(bound) != "a" || len(table.endpoints) != 0 {
		t.Errorf("at once: %q, %q, %v", name(k), name(bound), table.endpoints)
	}
	table.Event(event(epoch, addr.EventConnect, 2, 2, tcp, here, there)) // the port is used again
	if name(k) != "b" {
		t.Errorf("used again: %q", name(k))
	}
	table.Event(event(epoch, addr.EventClose, 1, 1, tcp, here, there)) // of the first, once more
	table.Event(event(epoch, addr.EventEstablished, 9, 2, tcp, "10.0.0.1:9", there))
	table.Event(event(epoch, addr.EventDeleted, 9, 2, tcp, "10.0.0.1:9", there))
	c.Advance(time.Minute)
	if name(k) != "b" || name(bound) != "" || name(keyOf(tcp, "10.0.0.1:9", there)) != "" {
		t.Errorf("later: %q, %q", name(k), name(bound))
	}
	w.sockets = []Socket{{keyOf(udp, here, ""), []uint32{1}}}
	_ = table.Look()
	w.sockets = nil
	_ = table.Look()
	if name(keyOf(udp, here, "")) != "a" || name(k) != "b" {
		t.Error("a look that does not see it ends what looks saw, after a while, and nothing that events told")
	}
	c.Advance(time.Minute)
	if name(keyOf(udp, here, "")) != "" {
		t.Error("it is still there")
	}
}

// A number that belongs to a process which started after the event tells the number alone.
func TestReused(t *testing.T) {
	w := newWorld("early")
	w.procs[2] = Process{ID: 2, Name: "late", Start: epoch.Add(time.Second)}
	table, c := newTable(t, Options{System: w})
	table.Event(event(epoch, addr.EventConnect, 1, 2, tcp, here, there))
	if p, ok := table.Owner(keyOf(tcp, here, there)); !ok || p != (Process{ID: 2}) || table.Stats().Reused != 1 {
		t.Errorf("%+v", p)
	}
	c.Advance(time.Minute) // on Windows these stamps are none, and now is taken
	table.Event(event(c.Now(), addr.EventConnect, 2, 2, tcp, here, there))
	if p, _ := table.Owner(keyOf(tcp, here, there)); p.Name != "late" || table.Stats().Reused != 1 {
		t.Errorf("%+v", p)
	}
	table.Event(event(epoch, addr.EventConnect, 3, 77, tcp, here, there)) // has ended already
	if p, ok := table.Owner(keyOf(tcp, here, there)); !ok || p != (Process{ID: 77}) {
		t.Errorf("%+v", p)
	}
	table.Event(event(epoch, addr.EventConnect, 4, 0, tcp, here, there)) // nobody
	if p, _ := table.Owner(keyOf(tcp, here, there)); p.ID != 77 {
		t.Errorf("%+v", p)
	}
}

// All is bounded, and what was given up is counted.
func TestBounds(t *testing.T) {
	table, c := newTable(t, Options{System: newWorld("a"), Max: 4, Waiting: 2})
	for i := range 10 {
		table.Event(event(epoch, addr.EventConnect, uint64(i)+1, 1, tcp, "10.0.0.1:"+strconv.Itoa(1000+i), there))
	}
	if s := table.Stats(); s.Remembered != 4 || s.Forgotten != 6 || len(table.endpoints) != 4 {
		t.Errorf("%+v, %d endpoints", s, len(table.endpoints))
	}
	for i := range 100 { // one endpoint that talks to many
		table.Event(event(epoch, addr.EventEstablished, 7, 1, udp, "10.0.0.1:7", "1.2.3.4:"+strconv.Itoa(1000+i)))
	}
	if n := len(table.endpoints[7]); n > maxOwners {
		t.Errorf("%d names of one endpoint", n)
	}
	for i := range uint64(100) { // many sockets on one port
		table.Event(event(epoch, addr.EventBind, 100+i, 1, udp, "10.0.0.1:8", ""))
	}
	if n := len(table.entries[keyOf(udp, "10.0.0.1:8", "")].owners); n != maxOwners {
		t.Errorf("%d owners", n)
	}
	var a answers
	for range 5 {
		table.Ask(keyOf(tcp, "10.0.0.1:1", there), false, a.put)
	}
	if s := table.Stats(); s.Waiting != 2 || s.Refused != 3 || len(a.got) != 3 {
		t.Errorf("%+v", s)
	}
	c.Advance(time.Second)
	if len(a.got) != 5 {
		t.Errorf("%d answers", len(a.got))
	}
}

// Close answers whoever waits, and so does everything afterwards.
func TestCloseTable(t *testing.T) {
	table, c := newTable(t, Options{System: newWorld("a")})
	var a answers
	table.Ask(keyOf(tcp, here, there), false, a.put)
	table.Close()
	table.Close()
	table.Event(event(epoch, addr.EventConnect, 1, 1, tcp, here, there))
	table.Ask(keyOf(tcp, here, there), false, a.put)
	c.Advance(time.Minute)
	if len(a.got) != 2 || a.got[0].Known() || a.got[1].Known() || c.Pending() != 0 {
		t.Errorf("%+v, %d timers", a.got, c.Pending())
	}
}

func TestKeyOf(t *testing.T) {
	syn := []byte{
		0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 1, 2, 3, 4,
		0x13, 0x88, 1, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0,
	}
	var a divertdrv.Address
	a.SetOutbound(true)
	k, inbound, ok := KeyOf(divertdrv.NewPacket(a, syn))
	if want := keyOf(tcp, here, there); k != want || inbound || !ok {
		t.Errorf("%+v, %v, %v", k, inbound, ok)
	}
	a.SetOutbound(false)
	if k, inbound, ok = KeyOf(divertdrv.NewPacket(a, syn)); k != keyOf(tcp, there, here) || !inbound || !ok {
		t.Errorf("%+v, %v, %v", k, inbound, ok)
	}
	a.SetLayer(divertdrv.NetworkForward, addr.EventPacket)
	if _, _, ok = KeyOf(divertdrv.NewPacket(a, syn)); ok {
		t.Error("a routed packet has an owner here")
	}
	icmp := append([]byte(nil), syn...)
	icmp[9] = 1
	if _, _, ok = KeyOf(divertdrv.NewPacket(divertdrv.Address{}, icmp)); ok {
		t.Error("ICMP has an owner")
	}
	if _, _, ok = KeyOf(divertdrv.NewPacket(divertdrv.Address{}, nil)); ok {
		t.Error("nothing has an owner")
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		ticks, perSecond int64
		want             time.Duration
	}{{25_000_000, 10_000_000, 2500 * time.Millisecond}, {-1, 10, 0}, {1, 0, 0}, {1 << 62, 1, 0}} {
		if got := epoch.Sub(ticksBefore(epoch, c.ticks, c.perSecond)); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// The answer for a flow is asked for once; a question that is known costs no memory all the same.
func TestOwnerAllocatesNothing(t *testing.T) {
	table, _ := newTable(t, Options{System: newWorld("a")})
	table.Event(event(epoch, addr.EventConnect, 1, 1, tcp, here, there))
	k := keyOf(tcp, here, there)
	if n := testing.AllocsPerRun(100, func() { table.Owner(k) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
