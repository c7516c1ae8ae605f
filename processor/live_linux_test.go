package processor_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/inject/craft"
	"github.com/weirnet/weir/internal/nettest"
	"github.com/weirnet/weir/processor"
)

// A connection that is refused at ALE_AUTH_CONNECT sends nothing: the peer's link sees no SYN, nor one of the repetitions.
func TestLiveBlockAtConnect(t *testing.T) {
	nettest.Need(t, nettest.Root)
	for name, family := range families {
		t.Run(name, func(t *testing.T) {
			here, there := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
			leave := countSYNs(t, there)
			s := newHost(t, here.NS, processor.Filter{
				Name: "no-81", Layer: processor.ALEAuthConnect, When: match(t, "tcp.DstPort == 81"), Action: processor.ActionBlock,
			})
			listenTCP(t, netip.AddrPortFrom(there.Addr(family), 81), there.NS)
			l := listenTCP(t, netip.AddrPortFrom(there.Addr(family), 80), there.NS)
			refused := &net.TCPAddr{IP: there.Addr(family).AsSlice(), Port: 81}
			if c, err := dial(here.NS, refused, 1300*time.Millisecond); err == nil { // the SYN is repeated after a second
				_ = c.Close()
				t.Error("connected to what is blocked")
			}
			connect(t, here.NS, l)
			waitFor(t, "the SYN that may leave", func() bool { return leave[80].Load() > 0 })
			st, ps := s.finish()
			if n := leave[81].Load(); n != 0 {
				t.Errorf("%d SYNs left", n)
			}
			if f := ps.Filters[0]; f.Blocked < 2 || st.Dropped[reason.Filter] != f.Blocked || st.DroppedTotal() != f.Blocked {
				t.Errorf("%+v, %+v", f, st)
			}
		})
	}
}

// countSYNs counts what comes in at a link to open connections, by port.
func countSYNs(t testing.TB, at *nettest.Link) (byPort *[100]atomic.Int64) {
	t.Helper()
	byPort = new([100]atomic.Int64)
	nettest.NewTap(t, at, func(_ *nettest.Tap, pkt []byte) {
		var h wire.Headers
		wire.Parse(pkt, &h)
		if tcp := h.TCP(pkt); tcp != nil && tcp.Flags()&(wire.SYN|wire.ACK) == wire.SYN && int(tcp.DstPort()) < len(byPort) {
			byPort[tcp.DstPort()].Add(1)
		}
	})
	return byPort
}

// A connection that is blocked when it is established, for a reason of security, is reset at both ends, whichever of them is this
// host. Where the processor stands before the one who waits for the last word of the handshake, or has it, says what each end
// sees: the client an error, the server an embryonic connection that is gone, before anybody accepted it.
func TestLiveBlockAtEstablished(t *testing.T) {
	nettest.Need(t, nettest.Root)
	for name, family := range families {
		for _, c := range []struct {
			name  string
			local bool // the processor is on the client's host
			sees  syscall.Errno
		}{
			{"local client, remote server", true, syscall.ECONNREFUSED},
			{"remote client, local server", false, syscall.ECONNRESET},
		} {
			t.Run(name+", "+c.name, func(t *testing.T) {
				client, server := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
				at := server
				if c.local {
					at = client
				}
				s := newHost(t, at.NS, processor.Filter{
					Name: "stolen", Layer: processor.ALEFlowEstablished, When: match(t, "tcp.DstPort == 80 or tcp.SrcPort == 80"),
					Action: processor.ActionBlock, Reason: "the key of this peer was stolen",
				})
				l := listenTCP(t, netip.AddrPortFrom(server.Addr(family), 80), server.NS)
				conn, err := dial(client.NS, l.Addr(), patience)
				if err == nil {
					defer conn.Close()
					_, err = conn.Read(make([]byte, 1))
				}
				if !errors.Is(err, c.sees) {
					t.Errorf("the client sees %v, want %v", err, c.sees)
				}
				waitFor(t, "the server's reset", func() bool { return server.NS.Counters()["TcpExt.EmbryonicRsts"] == 1 })
				_ = l.SetDeadline(time.Now().Add(50 * time.Millisecond))
				if in, err := l.Accept(); err == nil {
					_ = in.Close()
					t.Error("the server accepted it")
				}
				st, ps := s.finish()
				if ps.Aborted != 1 || ps.Filters[0].Blocked != 1 || st.Injected != 2 || ps.Violations[processor.RuleBlockAtEstablished] != 0 {
					t.Errorf("%+v, %+v", ps, st)
				}
			})
		}
	}
}

// resetter defers two RSTs about the first segment with a payload.
type resetter struct{ t testing.TB }

func (resetter) Name() string { return "resetter" }

func (r resetter) Classify(c *processor.Classification) processor.Verdict {
	p := c.Packet
	for _, to := range []inject.End{inject.ToSender, inject.ToReceiver} {
		build := craft.ResetToSender
		if to == inject.ToReceiver {
			build = craft.ResetToReceiver
		}
		rst, err := build(p.Data, p.Headers())
		if err != nil {
			r.t.Error(err)
			continue
		}
		in := inject.AnswerTo(p, rst, to)
		if err := c.Inject(in); !errors.Is(err, inject.ErrInlineTCPInjection) {
			r.t.Errorf("inline: %v", err)
		}
		if !c.Defer(func(d *processor.Deferred) {
			if err := d.Inject(in); err != nil {
				r.t.Errorf("deferred: %v", err)
			}
		}) {
			r.t.Error("Defer refused")
		}
	}
	return processor.Verdict{Action: processor.Block, Cause: reason.Rejected}
}

// RSTs of a deferred call end a live connection at both ends, whether the segment that they are about goes out or comes in.
func TestLiveResetFromADeferredCall(t *testing.T) {
	nettest.Need(t, nettest.Root)
	for name, family := range families {
		for _, local := range []bool{true, false} {
			t.Run(name+map[bool]string{true: ", on the sender's host", false: ", on the receiver's host"}[local], func(t *testing.T) {
				client, server := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
				at, layer := server, processor.InboundTransport
				if local {
					at, layer = client, processor.OutboundTransport
				}
				s := newHost(t, at.NS, processor.Filter{
					Name: "reset", Layer: layer, When: match(t, "tcp.DstPort == 80 and tcp.Payload32[0] == 0x53544f50"), // STOP
					Action: processor.ActionCalloutTerminating, Callout: resetter{t},
				})
				a, b := connect(t, client.NS, listenTCP(t, netip.AddrPortFrom(server.Addr(family), 80), server.NS))
				echo(t, a, b, "GOES")
				if _, err := a.Write([]byte("STOP")); err != nil {
					t.Fatal(err)
				}
				for end, c := range map[string]net.Conn{"client": a, "server": b} {
					if n, err := c.Read(make([]byte, 8)); !errors.Is(err, syscall.ECONNRESET) {
						t.Errorf("the %s reads %d bytes, %v; want a reset", end, n, err)
					}
				}
				st, ps := s.finish()
				if st.Injected != 2*ps.Filters[0].Blocked || st.Dropped[reason.Rejected] != ps.Filters[0].Blocked || ps.Deferred != st.Injected {
					t.Errorf("%+v, %+v", st, ps)
				}
			})
		}
	}
}

// echo sends a word there and back.
func echo(t testing.TB, a, b net.Conn, word string) {
	t.Helper()
	for _, dir := range [][2]net.Conn{{a, b}, {b, a}} {
		got := make([]byte, 2*len(word))
		if _, err := dir[0].Write([]byte(word)); err != nil {
			t.Fatal(err)
		}
		if n, err := dir[1].Read(got); err != nil || string(got[:n]) != word {
			t.Fatalf("%q came, %v; want %q", got[:n], err, word)
		}
	}
}

// A live flow is authorised again when the policy changes: it goes on if the new one permits it, it stands still if not, and what
// was lost comes again when it is permitted once more.
func TestLiveSwapEndsOrKeepsAFlow(t *testing.T) {
	nettest.Need(t, nettest.Root)
	for name, family := range families {
		for _, c := range []struct {
			name  string
			local bool
			layer processor.Layer
		}{
			{"client", true, processor.ALEAuthConnect},
			{"server", false, processor.ALEAuthRecvAccept},
		} {
			t.Run(name+", "+c.name, func(t *testing.T) {
				client, server := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
				at := server
				if c.local {
					at = client
				}
				block := func(name, when string) processor.Filter {
					return processor.Filter{Name: name, Layer: c.layer, When: match(t, when), Action: processor.ActionBlock}
				}
				other := block("other", "tcp.DstPort == 81 or tcp.SrcPort == 81")
				this := block("this", "tcp.DstPort == 80 or tcp.SrcPort == 80")
				s := newHost(t, at.NS)
				a, b := connect(t, client.NS, listenTCP(t, netip.AddrPortFrom(server.Addr(family), 80), server.NS))
				echo(t, a, b, "at first")
				s.apply(other)
				echo(t, a, b, "kept")
				s.apply(other, this)
				stands(t, a, b, "ended")
				s.apply(other)
				got := make([]byte, 16)
				_ = b.SetReadDeadline(time.Now().Add(patience))
				if n, err := b.Read(got); err != nil || string(got[:n]) != "ended" {
					t.Errorf("%q came, %v", got[:n], err)
				}
				echo(t, b, a, "again")
				st, ps := s.finish()
				if ps.FlowsOpened == 0 || ps.Refused+st.Dropped[reason.Filter] == 0 || st.DroppedTotal() != st.Dropped[reason.Filter] {
					t.Errorf("%+v, %+v", ps, st)
				}
			})
		}
	}
}

// stands says that a word does not arrive.
func stands(t testing.TB, a, b net.Conn, word string) {
	t.Helper()
	if _, err := a.Write([]byte(word)); err != nil {
		t.Fatal(err)
	}
	_ = b.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if n, err := b.Read(make([]byte, 16)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes came, %v; want none", n, err)
	}
}
