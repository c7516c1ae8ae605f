package stream

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject/craft"
)

var (
	client = netip.MustParseAddrPort("10.0.0.1:5000")
	server = netip.MustParseAddrPort("192.0.2.1:443")
)

// talk is one assembler, and what its readers were told.
type talk struct {
	t    testing.TB
	a    *Assembler
	now  time.Duration
	told []string
	stop string // a reader that has got this wants no more
}

func newTalk(t testing.TB, cfg Config) *talk {
	k := &talk{t: t}
	k.a = New(cfg, func(c Conn) Reader {
		k.told = append(k.told, fmt.Sprintf("open %v %v", c.Opener.Port, c.Midstream))
		if c.Other.Port == 9 {
			return nil
		}
		return k
	})
	return k
}

func (k *talk) Data(d Direction, lost uint32, b []byte) bool {
	k.told = append(k.told, fmt.Sprintf("%v %d %s", d, lost, b))
	return k.stop == "" || string(b) != k.stop
}

func (k *talk) Closed(why End) { k.told = append(k.told, why.String()) }

// says adds a segment of the client's, or with back of the server's.
func (k *talk) says(back bool, flags wire.TCPFlags, seq uint32, payload string) {
	k.between(client, server, back, flags, seq, payload)
}

func (k *talk) between(from, to netip.AddrPort, back bool, flags wire.TCPFlags, seq uint32, payload string) {
	if back {
		from, to = to, from
	}
	b, err := craft.TCP(from, to, craft.Segment{Flags: flags, Seq: seq}, []byte(payload))
	if err != nil {
		k.t.Fatal(err)
	}
	k.add(b)
}

func (k *talk) add(b []byte) {
	var h wire.Headers
	wire.Parse(b, &h)
	k.a.Add(b, &h, int64(k.now))
	k.check()
}

func (k *talk) after(d time.Duration) {
	k.now += d
	k.a.Tick(int64(k.now))
	k.check()
}

func (k *talk) check() {
	k.t.Helper()
	if s := k.a.Stats(); !s.Conserved() {
		k.t.Fatalf("not conserved: %+v", s)
	}
}

// wants checks what was told since it was last called.
func (k *talk) wants(want ...string) {
	k.t.Helper()
	if !slices.Equal(k.told, want) {
		k.t.Errorf("told %q, want %q", k.told, want)
	}
	k.told = nil
}

const (
	syn    = wire.SYN
	synAck = wire.SYN | wire.ACK
	ack    = wire.ACK
	fin    = wire.FIN | wire.ACK
	rst    = wire.RST
)

// opened is a connection of which the handshake was seen; the next byte of the client is 101, that of the server 501.
func opened(t testing.TB, cfg Config) *talk {
	k := newTalk(t, cfg)
	k.says(false, syn, 100, "")
	k.says(true, synAck, 500, "")
	k.says(false, ack, 101, "")
	k.wants("open 5000 false")
	return k
}

func TestInOrder(t *testing.T) {
	k := opened(t, Config{})
	k.says(false, ack, 101, "GET")
	k.says(true, ack, 501, "200")
	k.says(false, fin, 104, "/")
	k.says(true, fin, 504, "")
	k.wants("from opener 0 GET", "to opener 0 200", "from opener 0 /", "finished")
	k.says(false, ack, 105, "")  // the last word
	k.says(false, ack, 104, "/") // once more
	k.wants()
	if s := k.a.Stats(); s.Delivered != 7 || s.Unread != 1 || s.Opened != 1 || s.Conns != 1 {
		t.Errorf("%+v", s)
	}
	k.says(false, syn, 9000, "early") // the same ports, another connection, and data in the SYN
	k.wants("open 5000 false", "from opener 0 early")
}

// Whoever is seen first, and with whatever: the opener is who sent the SYN.
func TestWhoOpens(t *testing.T) {
	k := newTalk(t, Config{})
	k.says(true, synAck, 500, "")
	k.says(false, ack, 101, "a")
	k.wants("open 5000 false", "from opener 0 a")
	k = newTalk(t, Config{})
	k.says(true, ack, 700, "")  // says nothing of what its number is
	k.says(true, ack, 701, "b") // the keepalive before had the number of a byte that came already
	k.wants("open 443 true", "from opener 0 b")
	k = newTalk(t, Config{})
	k.between(client, netip.MustParseAddrPort("192.0.2.1:9"), false, ack, 1, "unread")
	k.wants("open 5000 true")
	if s := k.a.Stats(); s.Unread != 6 {
		t.Errorf("%+v", s)
	}
}

func TestOutOfOrder(t *testing.T) {
	k := opened(t, Config{})
	k.says(false, ack, 107, "ghi")
	k.says(false, ack, 104, "def")
	k.says(false, ack, 105, "ef") // a part of it again
	k.wants()
	if s := k.a.Stats(); s.Waiting != 6 || s.Repeated != 2 || s.Conflicts != 0 {
		t.Errorf("%+v", s)
	}
	k.says(false, ack, 101, "abc")
	k.wants("from opener 0 abc", "from opener 0 def", "from opener 0 ghi")
	k.says(false, ack, 99, "??abcdefghijk") // old and new
	k.wants("from opener 0 jk")
}

// What came first stands, also where it waits; what differs is counted.
func TestOverlapsThatDiffer(t *testing.T) {
	k := opened(t, Config{})
	k.says(false, ack, 105, "real")
	k.says(false, ack, 103, "XXfakeYY")
	k.says(false, ack, 101, "ab")
	k.wants("from opener 0 ab", "from opener 0 XX", "from opener 0 real", "from opener 0 YY")
	if s := k.a.Stats(); s.Conflicts != 4 || s.Repeated != 4 {
		t.Errorf("%+v", s)
	}
	k.says(false, ack, 114, "BB")
	k.says(false, ack, 111, "0123456") // in order, across what waits
	k.wants("from opener 0 012", "from opener 0 BB", "from opener 0 56")
}

func TestGapsAreGivenUp(t *testing.T) {
	k := opened(t, Config{Wait: time.Second})
	k.says(false, ack, 111, "late")
	k.after(time.Second)
	k.wants()
	k.after(time.Millisecond)
	k.wants("from opener 10 late")
	k.says(false, ack, 101, "0123456789") // too late
	k.says(false, fin, 120, "")           // five bytes do not come
	k.says(true, fin, 501, "")
	k.wants()
	k.after(time.Second + 1)
	k.wants("finished")
	if s := k.a.Stats(); s.Lost != 15 || s.Repeated != 10 {
		t.Errorf("%+v", s)
	}
	k = opened(t, Config{Idle: time.Minute})
	k.says(false, ack, 111, "left")
	k.now = time.Minute
	k.after(time.Millisecond)
	k.wants("from opener 10 left", "idle")
	if s := k.a.Stats(); s.Conns != 0 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
}

// The time of a gap begins when it is known of; behind it may be another one, and the end.
func TestHowLongGapsStayOpen(t *testing.T) {
	k := opened(t, Config{Wait: time.Second})
	k.says(false, ack, 111, "b")
	k.after(900 * time.Millisecond)
	k.says(false, fin, 112, "")
	k.says(true, fin, 501, "")
	k.after(101 * time.Millisecond)
	k.wants("from opener 10 b", "finished")
	k = opened(t, Config{Wait: time.Second})
	k.says(false, ack, 102, "b")
	k.says(false, ack, 104, "d")
	k.after(900 * time.Millisecond)
	k.says(false, ack, 101, "a")
	k.after(time.Second)
	k.wants("from opener 0 a", "from opener 0 b")
	k.after(time.Millisecond)
	k.wants("from opener 1 d")
}

// Bounds, of a direction and of all.
func TestTooMuchWaits(t *testing.T) {
	for name, cfg := range map[string]Config{"a direction": {Each: 2 * pageBytes}, "all": {Bytes: 2 * pageBytes}} {
		k := opened(t, cfg)
		k.says(false, ack, 111, "b")
		k.says(false, ack, 121, "c")
		k.says(false, ack, 131, "d")
		k.wants("from opener 10 b")
		k.says(false, ack, 141, "e")
		k.wants("from opener 9 c")
		if s := k.a.Stats(); s.Waiting != 2 || s.Lost != 19 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	k := opened(t, Config{Bytes: pageBytes})
	k.between(netip.MustParseAddrPort("10.0.0.2:77"), server, false, syn, 0, "")
	k.between(netip.MustParseAddrPort("10.0.0.2:77"), server, false, ack, 10, "has the page")
	k.says(false, ack, 111, "none left")
	k.wants("open 77 false", "from opener 10 none left")
}

func TestResets(t *testing.T) {
	k := opened(t, Config{})
	k.says(false, rst, 99, "")           // of a number that was
	k.says(true, rst, 501+window+1, "")  // and of one that cannot be yet
	k.says(false, ack, 101+1<<30, "far") // no more can this
	k.says(false, ack, 1<<32+100-window, "old")
	k.wants()
	k.says(false, ack, 104, "def")
	k.says(true, rst, 501, "why")
	k.wants("from opener 3 def", "reset")
	if s := k.a.Stats(); s.Strays != 4 || s.Unread != 9 {
		t.Errorf("%+v", s)
	}
	k = newTalk(t, Config{})
	k.says(false, syn, 100, "")
	k.says(true, rst|ack, 0, "")
	k.wants("open 5000 false", "reset")
}

// A SYN within a live connection is a repetition, a stray, or after a silence the first of another.
func TestSYNs(t *testing.T) {
	k := newTalk(t, Config{})
	k.says(false, syn, 100, "")
	k.says(false, syn, 300, "") // it gave up the first; nobody has answered
	k.says(false, ack, 301, "a")
	k.says(false, syn, 300, "")
	k.says(false, syn, 7000, "") // sent to confuse
	k.says(false, ack, 302, "b")
	k.wants("open 5000 false", "from opener 0 a", "from opener 0 b")
	if s := k.a.Stats(); s.Strays != 1 {
		t.Errorf("%+v", s)
	}
	k.now += quiet + 1
	k.says(false, syn, 7000, "")
	k.says(false, ack, 7002, "!") // it waits for the byte before, which is of this beginning
	k.says(false, syn, 8000, "")
	k.says(false, ack, 7001, "c")
	k.wants("replaced", "open 5000 false", "from opener 0 c", "from opener 0 !")
}

func TestReaderWantsNoMore(t *testing.T) {
	k := opened(t, Config{})
	k.stop = "enough"
	k.says(false, ack, 120, "waits")
	k.says(false, ack, 101, "enough")
	k.says(false, ack, 107, "more")
	k.wants("from opener 0 enough")
	k.says(true, ack, 501, "enough")
	k.wants("to opener 0 enough", "finished")
	if s := k.a.Stats(); s.Unread != 9 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
}

// A capture that cut packets off has the numbers, but not the bytes.
func TestTruncated(t *testing.T) {
	k := opened(t, Config{})
	for i := range uint32(2) {
		b, _ := craft.TCP(client, server, craft.Segment{Flags: ack, Seq: 101 + 10*i}, []byte("0123456789"))
		k.add(b[:len(b)-7])
		k.add(b[:len(b)-7])
	}
	k.wants("from opener 0 012", "from opener 7 012")
}

func TestWhatIsNotRead(t *testing.T) {
	k := newTalk(t, Config{})
	u, _ := craft.UDP(client, server, []byte("x"))
	k.add(u)
	k.add(nil)
	frag, _ := craft.TCP(client, server, craft.Segment{Flags: ack}, []byte("x"))
	frag[6] = 0x20
	k.add(frag)
	if s := k.a.Stats(); s.Ignored != 3 || s.Segments != 0 {
		t.Errorf("%+v", s)
	}
}

func TestEviction(t *testing.T) {
	k := newTalk(t, Config{Conns: 2})
	from := func(i byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, i}), uint16(i))
	}
	for i := byte(1); i <= 3; i++ {
		k.between(from(i), server, false, syn, 0, "")
	}
	if s := k.a.Stats(); s.Conns != 2 || s.Evicted != 1 || s.Opened != 3 {
		t.Errorf("%+v", s)
	}
	k.between(from(1), server, false, ack, 1, "used")
	k.between(from(3), server, true, rst|ack, 0, "")
	k.between(from(4), server, false, syn, 0, "") // in place of the one that is over
	if s := k.a.Stats(); s.Conns != 2 || s.Evicted != 1 || s.Opened != 4 {
		t.Errorf("%+v", s)
	}
	k.a.Close()
	k.a.Close()
	if n := len(k.told); n != 9 {
		t.Errorf("told %q", k.told)
	}
	if s := k.a.Stats(); s.Conns != 0 {
		t.Errorf("%+v", s)
	}
}
