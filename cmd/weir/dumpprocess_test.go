package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/proc"
	"github.com/weirnet/weir/divertdrv/wire"
)

// host is a made-up system: one program with a socket, which comes into being when it is looked for a second time.
type host struct {
	mu    sync.Mutex // guards looks
	looks int
}

func (h *host) Sockets() ([]proc.Socket, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.looks++; h.looks < 2 {
		return nil, nil
	}
	return []proc.Socket{{Key: proc.Key{Local: wire.EndpointFrom(netip.MustParseAddrPort("10.0.0.1:5000")), Proto: wire.ProtoUDP}, Owners: []uint32{42}}}, nil
}

func (h *host) Process(id uint32) (proc.Process, error) {
	return proc.Process{ID: id, Name: "dig", Path: "/usr/bin/dig"}, nil
}

// udpFrom is an outbound datagram from a port of 10.0.0.1.
func udpFrom(port uint16) *divertdrv.Packet {
	b := make([]byte, 28)
	b[0], b[3], b[8], b[9] = 0x45, 28, 64, wire.ProtoUDP
	copy(b[12:], []byte{10, 0, 0, 1, 192, 0, 2, 1, byte(port >> 8), byte(port), 0, 53, 0, 8})
	var a divertdrv.Address
	a.SetOutbound(true)
	return divertdrv.NewPacket(a, b)
}

// Lines wait for their process and stay in order; what no process has is counted, and what has none is not waited for.
func TestDumpNamesProcesses(t *testing.T) {
	var out strings.Builder
	lines := dumpLines{asJSON: true, names: map[uint32]string{}}
	stopped := false
	n := newNamer(context.Background(), &host{}, func() error { stopped = true; return nil },
		func(l *line) error { return lines.write(&out, l.d, l.at) }, func() error { return nil })
	icmp := udpFrom(0)
	icmp.Edit()[9] = wire.ProtoICMP
	for _, p := range []*divertdrv.Packet{udpFrom(5000), udpFrom(6000), icmp, udpFrom(5000)} {
		n.add(describe(p), p)
	}
	if err := n.end(); err != nil || !stopped || n.unattributed != 1 {
		t.Errorf("%v, stopped %v, %d unattributed", err, stopped, n.unattributed)
	}
	var got []string
	for l := range strings.Lines(out.String()) {
		var d dumped
		if err := json.Unmarshal([]byte(l), &d); err != nil {
			t.Fatal(err)
		}
		who := d.Protocol
		if d.Process != nil {
			who += " " + d.Process.String() + " " + d.Process.Path
		}
		got = append(got, who)
	}
	if want := "udp dig (42) /usr/bin/dig, udp, icmp, udp dig (42) /usr/bin/dig"; strings.Join(got, ", ") != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Lines without a process wait side by side, not one after the other: who ends it does not wait for each.
func TestDumpWaitsOnce(t *testing.T) {
	n := newNamer(context.Background(), &host{}, func() error { return nil }, func(*line) error { return nil }, func() error { return nil })
	const lines = 400
	begun := time.Now()
	for i := range lines {
		p := udpFrom(uint16(6000 + i))
		n.add(describe(p), p)
	}
	if err := n.end(); err != nil || n.unattributed != lines {
		t.Errorf("%v, %d unattributed", err, n.unattributed)
	}
	if took := time.Since(begun); took > lines*lineWait/4 {
		t.Errorf("%v for %d lines that wait for %v", took, lines, lineWait)
	}
}

// Output that breaks ends it; nobody waits for a line that nobody reads.
func TestDumpNamesUntilItBreaks(t *testing.T) {
	broken := errors.New("no space left")
	n := newNamer(context.Background(), &host{}, func() error { return nil }, func(*line) error { return broken }, func() error { return nil })
	for range 3 * lineQueue {
		p := udpFrom(5000)
		n.add(describe(p), p)
	}
	if err := n.end(); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestDumpedProcess(t *testing.T) {
	for want, p := range map[string]dumpedProcess{"nginx": {Name: "nginx"}, "pid 7": {ID: 7}, "curl (7)": {ID: 7, Name: "curl"}} {
		if p.String() != want {
			t.Errorf("%q, want %q", p.String(), want)
		}
	}
}
