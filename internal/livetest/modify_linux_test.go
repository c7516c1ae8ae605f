package livetest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/nettest"
)

// changing diverts what the filter takes, has judge change it, and passes it, until the test ends. Then all must have passed.
func (b *bench) changing(filter string, judge func(p *divertdrv.Packet)) *divertdrv.Handle {
	b.t.Helper()
	h, err := divertdrv.Open(filter, divertdrv.Network, &divertdrv.Options{
		Driver: nfqdrv.New(nfqdrv.Config{Namespace: fmt.Sprintf("/proc/self/fd/%d", b.here.NS.FD())}),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- relay(h, judge) }()
	b.t.Cleanup(func() {
		if err := h.Shutdown(divertdrv.ShutdownRecv); err != nil {
			b.t.Error(err)
		}
		if err := <-over; err != nil {
			b.t.Error(err)
		}
		if err := h.Close(); err != nil {
			b.t.Error(err)
		}
		st := h.Stats()
		if err := st.Conserved(); err != nil || st.Passed != st.Received || st.Lost != 0 {
			b.t.Errorf("%v; %+v", err, st)
		}
	})
	return h
}

// A flow whose payload is rewritten in place arrives right, in packets larger than the wire takes (GSO), in both families.
func TestRewriteInPlace(t *testing.T) {
	b := newBench(t)
	if !b.here.Offloaded(nettest.TSO) {
		t.Fatal("the device has no TSO, so nothing is larger than the wire takes")
	}
	var large atomic.Int64
	b.changing("outbound and tcp.PayloadLength > 0", func(p *divertdrv.Packet) {
		if len(p.Data) > 1500 {
			large.Add(1)
		}
		payload := p.Headers().Payload(p.Edit())
		for i, c := range payload {
			if c == 'a' {
				payload[i] = 'b'
			}
		}
	})
	for _, addr := range []netip.Addr{b.there.V4, b.there.V6} {
		const size = 4 << 20
		got := b.transfer(addr, bytes.Repeat([]byte("aaaaaaac"), size/8))
		if want := bytes.Repeat([]byte("bbbbbbbc"), size/8); !bytes.Equal(got, want) {
			t.Errorf("%v: %d bytes arrived, of %d, or others", addr, len(got), len(want))
		}
	}
	if large.Load() == 0 {
		t.Error("no packet was larger than 1500 bytes")
	}
	t.Logf("%d packets larger than 1500 bytes", large.Load())
	b.sound()
}

// transfer sends data over TCP from here to there and returns what arrives.
func (b *bench) transfer(addr netip.Addr, data []byte) []byte {
	b.t.Helper()
	var l *net.TCPListener
	var c *net.TCPConn
	var err error
	b.there.NS.Do(func() { l, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0))) })
	if err != nil {
		b.t.Fatal(err)
	}
	defer l.Close()
	b.here.NS.Do(func() { c, err = net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr)) })
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	sent := make(chan error, 1)
	go func() {
		_ = c.SetDeadline(time.Now().Add(patience))
		_, err := c.Write(data)
		_ = c.CloseWrite()
		sent <- err
	}()
	a, err := l.Accept()
	if err != nil {
		b.t.Fatal(err)
	}
	defer a.Close()
	_ = a.SetDeadline(time.Now().Add(patience))
	got, err := io.ReadAll(a)
	if failed := <-sent; err != nil || failed != nil {
		b.t.Fatal(failed, err)
	}
	return got
}

// A UDP flow that is lengthened arrives right, in both directions and families, up to what one datagram may have.
func TestLengthen(t *testing.T) {
	const tail = "and so it goes on"
	b := newBench(t)
	b.changing("udp", func(p *divertdrv.Packet) {
		n := len(p.Data)
		if err := p.Resize(n + len(tail)); err != nil {
			t.Error(err)
			return
		}
		copy(p.Data[n:], tail)
	})
	for _, addr := range []netip.Addr{b.there.V4, b.there.V6} {
		var there, here net.PacketConn
		var err error
		b.there.NS.Do(func() { there, err = net.ListenPacket("udp", netip.AddrPortFrom(addr, 0).String()) })
		if err != nil {
			t.Fatal(err)
		}
		b.here.NS.Do(func() { here, err = net.ListenPacket("udp", netip.AddrPortFrom(b.here.Addr(addr), 0).String()) })
		if err != nil {
			t.Fatal(err)
		}
		largest := 1500 - wire.UDPHeaderLen - wire.IPv6HeaderLen - len(tail)
		for n := range 100 {
			size := n * largest / 99
			exchange(t, here, there, size, tail)
			exchange(t, there, here, size, tail)
		}
		_, _ = here.Close(), there.Close()
	}
	b.sound()
}

// exchange sends one datagram and wants it with the tail.
func exchange(t *testing.T, from, to net.PacketConn, size int, tail string) {
	t.Helper()
	sent := bytes.Repeat([]byte{byte(size)}, size)
	if _, err := from.WriteTo(sent, to.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 1<<16)
	_ = to.SetReadDeadline(time.Now().Add(patience))
	n, _, err := to.ReadFrom(got)
	if err != nil {
		t.Fatalf("%d bytes: %v", size, err)
	}
	if want := append(sent, tail...); !bytes.Equal(got[:n], want) {
		t.Fatalf("%d bytes sent, got %d: %q, want %d: %q", size, n, got[:n], len(want), want)
	}
}
