package netlink

import (
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netns"
)

func dial(t *testing.T, family int) *Conn {
	t.Helper()
	c, err := Dial(family, -1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), c.Close()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// getLink asks for a link by name, or for all of them.
func getLink(name string) Message {
	m := Message{Type: unix.RTM_GETLINK, Flags: unix.NLM_F_DUMP}
	a := make(Attrs, unix.SizeofIfInfomsg)
	if name != "" {
		m.Flags = 0
		a.String(unix.IFLA_IFNAME, name)
	}
	m.Body = a
	return m
}

func names(t *testing.T, c *Conn, m Message) (all []string) {
	t.Helper()
	err := c.Query(m, func(m Message) error {
		return Each(m.Body[unix.SizeofIfInfomsg:], func(typ uint16, v []byte) error {
			if typ == unix.IFLA_IFNAME {
				all = append(all, Text(v))
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// No rights are needed to look.
func TestQuery(t *testing.T) {
	c := dial(t, unix.NETLINK_ROUTE)
	if got := names(t, c, getLink("lo")); len(got) != 1 || got[0] != "lo" {
		t.Fatalf("asked for lo: %v", got)
	}
	if got := names(t, c, getLink("")); len(got) == 0 || got[0] != "lo" {
		t.Fatalf("asked for all: %v", got)
	}
	stop := errors.New("enough")
	if err := c.Query(getLink(""), func(Message) error { return stop }); !errors.Is(err, stop) {
		t.Fatalf("%v", err)
	}
	if got := names(t, c, getLink("lo")); len(got) != 1 { // nothing of the query before is in the way
		t.Fatalf("%v", got)
	}
}

func TestRefusal(t *testing.T) {
	c := dial(t, unix.NETLINK_ROUTE)
	err := c.Query(getLink("no-such-link"), func(Message) error { return nil })
	if !errors.Is(err, unix.ENODEV) {
		t.Fatalf("%v", err)
	}
	short := Message{Type: unix.RTM_GETLINK, Flags: unix.NLM_F_ACK, Body: []byte{0}}
	fine := getLink("lo")
	fine.Flags |= unix.NLM_F_ACK
	err = c.Do(fine, short, fine)
	var e *Error
	if !errors.As(err, &e) || e.Index != 1 || e.Errno == 0 {
		t.Fatalf("%v", err)
	}
	if err := c.Do(fine); err != nil {
		t.Fatal(err)
	}
}

func TestRefusalInWords(t *testing.T) {
	e := refusal(Message{Flags: unix.NLM_F_ACK_TLVS, Body: refusalOf(-int32(unix.EINVAL), "no such thing")}, 3)
	if e == nil || e.Index != 3 || e.Errno != unix.EINVAL || e.Text != "no such thing" || !strings.Contains(e.Error(), e.Text) {
		t.Fatalf("%+v", e)
	}
	if refusal(Message{Body: refusalOf(0, "")}, 0) != nil {
		t.Fatal("an acknowledgement is a refusal")
	}
	if e := refusal(Message{Body: []byte{1}}, 0); e == nil {
		t.Fatal("a stump is an acknowledgement")
	}
}

func refusalOf(errno int32, text string) []byte {
	a := Attrs(binary.NativeEndian.AppendUint32(nil, uint32(errno)))
	a = append(a, make([]byte, header)...)
	if text != "" {
		a.String(unix.NLMSGERR_ATTR_MSG, text)
	}
	return a
}

// The kernel says in the flags of a list's messages that it changed between two of them.
func TestInterrupted(t *testing.T) {
	for _, c := range []struct {
		flags, typ uint16
		torn       bool
	}{
		{unix.NLM_F_MULTI, unix.RTM_NEWLINK, false},
		{unix.NLM_F_MULTI | unix.NLM_F_DUMP_INTR, unix.RTM_NEWLINK, true},
		{unix.NLM_F_MULTI | unix.NLM_F_DUMP_INTR, unix.NLMSG_DONE, true},
		{unix.NLM_F_CAPPED | unix.NLM_F_DUMP_INTR, unix.NLMSG_ERROR, false},
	} {
		a := answer{seq: 1, each: func(Message) error { return nil }}
		_ = a.take(2, Message{Flags: unix.NLM_F_DUMP_INTR}) // of another request
		_ = a.take(1, Message{Flags: c.flags, Type: c.typ, Body: make([]byte, 4)})
		if a.torn != c.torn || a.err != nil {
			t.Errorf("%+v: %v, %v", c, a.torn, a.err)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	c := dial(t, unix.NETLINK_ROUTE)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got := names(t, c, getLink("lo")); len(got) != 1 {
					t.Errorf("%v", got)
				}
			}
		})
	}
	wg.Wait()
}

func TestClosed(t *testing.T) {
	c := dial(t, unix.NETLINK_ROUTE)
	if port, err := c.Port(); err != nil || port == 0 {
		t.Fatalf("port %d, %v", port, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Do(getLink("lo")); !errors.Is(err, ErrClosed) {
		t.Fatalf("%v", err)
	}
}

func TestDialInNamespace(t *testing.T) {
	needRoot(t)
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Dial(unix.NETLINK_ROUTE, ns)
	if err := errors.Join(err, unix.Close(ns)); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, name := range names(t, c, getLink("")) {
		if name != "lo" && !strings.HasSuffix(name, "0") { // the kernel's own tunnels: sit0, ip6tnl0, …
			t.Errorf("a new namespace has %s", name)
		}
	}
	if _, err := Dial(unix.NETLINK_ROUTE, 1<<20); err == nil {
		t.Error("a namespace that is none")
	}
}

func FuzzSplit(f *testing.F) {
	m := binary.NativeEndian.AppendUint32(nil, header+4)
	m = append(m, make([]byte, header)...)
	f.Add(m)
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = split(b, func(_ uint32, m Message) error {
			if len(m.Body) > len(b)-header {
				t.Fatalf("a body of %d bytes in %d", len(m.Body), len(b))
			}
			_ = refusal(m, 0)
			return nil
		})
	})
}

// needRoot is nettest.Need, which stands above this room.
func needRoot(t *testing.T) {
	t.Helper()
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("CI") == "true":
		t.Fatal("not root, and CI=true says that this must run")
	default:
		t.Skip("not root: namespaces cannot be made")
	}
}
