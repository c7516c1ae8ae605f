package proc

import (
	"encoding/binary"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/nettest"
)

// childEnv makes the test's program another process with sockets, which it tells on its output.
const childEnv = "WEIR_PROC_CHILD"

// ends are a child's sockets.
type ends struct{ Listener, Dialed, Peer, UDP netip.AddrPort }

func init() {
	if os.Getenv(childEnv) != "" {
		child()
	}
}

func child() {
	var e ends
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	c, err := net.Dial("tcp", os.Getenv(childEnv))
	check(err)
	u, err := net.ListenPacket("udp", "[::]:0")
	check(err)
	e.Listener, e.Dialed = netip.MustParseAddrPort(l.Addr().String()), netip.MustParseAddrPort(c.LocalAddr().String())
	e.Peer, e.UDP = netip.MustParseAddrPort(c.RemoteAddr().String()), netip.MustParseAddrPort(u.LocalAddr().String())
	check(json.NewEncoder(os.Stdout).Encode(e))
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the test is over
	os.Exit(0)
}

// In a namespace of its own: this process and another, their connections, listeners and datagram sockets, of both families.
func TestLocal(t *testing.T) {
	nettest.Need(t, nettest.Root)
	ns := nettest.NewNamespace(t)
	ns.Command("ip", "link", "set", "lo", "up")
	var l net.Listener
	var sys System
	var stop func() error
	var err, noListener error
	ns.Do(func() {
		l, noListener = net.Listen("tcp", "127.0.0.1:0")
		sys, stop, err = Local()
	})
	if err != nil || noListener != nil {
		t.Fatal(err, noListener)
	}
	defer l.Close()
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+l.Addr().String())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = cmd.Wait() }()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	var e ends
	if err := json.NewDecoder(out).Decode(&e); err != nil {
		t.Fatal(err)
	}
	table := New(Options{System: sys})
	defer table.Close()
	if err := table.Look(); err != nil {
		t.Fatal(err)
	}
	mine, theirs := uint32(os.Getpid()), uint32(cmd.Process.Pid)
	at := wire.EndpointFrom
	elsewhere := netip.MustParseAddrPort("192.0.2.1:9")
	for name, c := range map[string]struct {
		k    Key
		want uint32
	}{
		"dialed":        {Key{at(e.Dialed), at(e.Peer), wire.ProtoTCP}, theirs},
		"accepted":      {Key{at(e.Peer), at(e.Dialed), wire.ProtoTCP}, mine},
		"listener":      {Key{at(e.Listener), at(elsewhere), wire.ProtoTCP}, theirs},
		"my listener":   {Key{at(e.Peer), at(elsewhere), wire.ProtoTCP}, mine},
		"UDP of IPv6":   {Key{at(netip.AddrPortFrom(netip.IPv6Loopback(), e.UDP.Port())), at(elsewhere), wire.ProtoUDP}, theirs},
		"UDP of IPv4":   {Key{at(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), e.UDP.Port())), at(elsewhere), wire.ProtoUDP}, theirs},
		"nobody's":      {Key{at(elsewhere), at(e.Peer), wire.ProtoTCP}, 0},
		"the other one": {Key{at(e.UDP), at(elsewhere), wire.ProtoTCP}, 0},
	} {
		if p, ok := table.Owner(c.k); p.ID != c.want || ok != (c.want != 0) {
			t.Errorf("%s: %+v, want process %d", name, p, c.want)
		}
	}
	p, err := sys.Process(theirs)
	me, _ := os.Executable()
	if err != nil || p.Path != me || p.Name == "" || p.Start.Before(before.Add(-time.Minute)) || p.Start.After(time.Now().Add(time.Second)) {
		t.Errorf("%+v, %v; I am %s", p, err, me)
	}
	if again, _ := sys.Process(theirs); again != p {
		t.Errorf("%+v, and then %+v", p, again)
	}
	if _, err := sys.Process(1 << 30); err == nil {
		t.Error("a process that there is not")
	}
}

// A question waits for a socket that comes later, in the real tables.
func TestLocalAsk(t *testing.T) {
	nettest.Need(t, nettest.Root)
	ns := nettest.NewNamespace(t)
	ns.Command("ip", "link", "set", "lo", "up")
	var sys System
	var stop func() error
	var err error
	ns.Do(func() { sys, stop, err = Local() })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stop() }()
	table := New(Options{System: sys, Deadline: time.Minute, Refresh: 10 * time.Millisecond})
	defer table.Close()
	k := Key{Local: wire.EndpointFrom(netip.MustParseAddrPort("127.0.0.1:4321")), Remote: wire.EndpointFrom(netip.MustParseAddrPort("127.0.0.1:1")), Proto: wire.ProtoUDP}
	got := make(chan Process, 1)
	table.Ask(k, false, func(p Process, _ bool) { got <- p })
	for table.Stats().Looks < 2 { // it waits, and is looked for
		time.Sleep(time.Millisecond)
	}
	var c net.PacketConn
	ns.Do(func() { c, err = net.ListenPacket("udp", "127.0.0.1:4321") })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if p := <-got; p.ID != uint32(os.Getpid()) || p.Name == "" {
		t.Errorf("%+v", p)
	}
	if s := table.Stats(); s.Attributed != 1 || s.Asked != 1 || s.Waiting != 0 || s.LooksFailed != 0 {
		t.Errorf("%+v", s)
	}
}

func TestParseStat(t *testing.T) {
	rest := " S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 0"
	for in, want := range map[string]string{
		"12 (bash)" + rest: "bash", "12 (a) (b) c)" + rest: "a) (b) c", "12 ()" + rest: "",
	} {
		if name, start, err := parseStat([]byte(in)); name != want || start != 4711 || err != nil {
			t.Errorf("%q: %q, %d, %v", in, name, start, err)
		}
	}
	for _, in := range []string{"", "12", "12 (bash", ")(", "12 (bash) S 1 2", "12 (x) S" + strings.Repeat(" x", 30)} {
		if _, _, err := parseStat([]byte(in)); err == nil {
			t.Errorf("%q was read", in)
		}
	}
}

// Owners are found below a made-up /proc, whatever else lies there.
func TestOwners(t *testing.T) {
	root := t.TempDir()
	for _, l := range []struct{ pid, fd, to string }{
		{"10", "3", "socket:[77]"},
		{"10", "4", "socket:[77]"},
		{"11", "0", "socket:[77]"},
		{"11", "1", "socket:[78]"},
		{"11", "2", "pipe:[77]"},
		{"self", "3", "socket:[77]"},
		{"12", "3", "socket:[x]"},
	} {
		dir := filepath.Join(root, l.pid, "fd")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(l.to, filepath.Join(dir, l.fd)); err != nil {
			t.Fatal(err)
		}
	}
	inodes := map[uint32][]uint32{77: nil, 79: nil}
	if err := owners(root, inodes); err != nil || len(inodes[77]) != 2 || inodes[79] != nil || len(inodes) != 2 {
		t.Errorf("%v, %v", inodes, err)
	}
	if err := owners(filepath.Join(root, "none"), inodes); err == nil {
		t.Error("no /proc")
	}
}

func FuzzParseDiag(f *testing.F) {
	b := make([]byte, diagMessage)
	b[0] = unix.AF_INET
	binary.BigEndian.PutUint16(b[diagPorts:], 80)
	binary.NativeEndian.PutUint32(b[diagInode:], 1)
	f.Add(b)
	f.Add(b[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, ok := parseDiag(b, wire.ProtoTCP); ok && (r.inode == 0 || r.key.Local.Port == 0) {
			t.Errorf("%+v", r)
		}
		_, _, _ = parseStat(b)
	})
}
