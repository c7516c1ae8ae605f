package livetest

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirnet/weir/internal/nettest"
)

// dump shows and records what passes, to the packet, and what passes does not notice.
func TestDump(t *testing.T) {
	b := newBench(t, nettest.Program("tcpdump", "tcpdump"))
	out := filepath.Join(t.TempDir(), "out.pcapng")
	sink := b.sink(7)
	p := start(t, b.here.NS, "showing packets", "dump", "udp.DstPort == 7", "-w", out)
	b.send(sink, some)
	if got := sink.Wait(some); got.Received != some {
		t.Errorf("%+v", got)
	}
	p.signal(syscall.SIGINT)
	if status := p.wait(); status != 0 {
		t.Fatalf("status %d:\n%s", status, &p.log)
	}
	if want := fmt.Sprintf("%d packets received, 0 lost, %d written to %s\n", some, some, out); !strings.HasSuffix(p.log.String(), want) {
		t.Errorf("it ends with %q, want %q", p.log.String(), want)
	}
	line := fmt.Sprintf(" out  -      udp %v:", b.here.V4)
	if lines := strings.Count(p.out.String(), "\n"); lines != some || strings.Count(p.out.String(), line) != some {
		t.Errorf("%d lines, not all of %d with %q:\n%.300s", lines, some, line, &p.out)
	}
	text, err := exec.Command("tcpdump", "-n", "--count", "-r", out, "udp dst port 7 and greater 92").Output()
	if err != nil || !strings.HasPrefix(string(text), fmt.Sprintf("%d packets", some)) {
		t.Errorf("tcpdump: %q, %v", text, err)
	}
	b.leftNothing()
}

// Under a flood copies may be lost, and then they are counted: what was sent is what was received and lost, to the packet.
func TestDumpFlood(t *testing.T) {
	b := newBench(t)
	p := start(t, b.here.NS, "showing packets", "dump", "outbound and udp", "-w", filepath.Join(t.TempDir(), "out.pcapng"))
	f := b.startFlow(0)
	f.arrive(20_000)
	_ = f.end()
	p.signal(syscall.SIGTERM)
	status := p.wait()
	_, end, _ := strings.Cut(p.log.String(), "ends\n")
	var received, lost uint32
	if _, err := fmt.Sscanf(end, "%d packets received, %d lost", &received, &lost); err != nil || status != 0 {
		t.Fatalf("status %d, %v:\n%s", status, err, &p.log)
	}
	if sent := f.sent.Load(); received+lost != sent || received == 0 {
		t.Errorf("%d sent, %d received, %d lost", sent, received, lost)
	}
	t.Logf("%d received, %d lost", received, lost)
}

// An inbound packet tells its interface; -n ends after exactly so many; with --json all are objects.
func TestDumpInbound(t *testing.T) {
	b := newBench(t)
	p := start(t, b.there.NS, "showing packets", "dump", "inbound and udp", "--driver", "nfqueue", "-n", "5")
	b.send(b.sink(7), 50)
	if status, lines := p.wait(), strings.Count(p.out.String(), " in   "+b.there.Name+" "); status != 0 || lines != 5 {
		t.Errorf("status %d, %d lines\n%s%s", status, lines, &p.out, &p.log)
	}
	p = start(t, b.there.NS, "received", "dump", "udp", "--timeout", "300ms", "--json") // it says so at its end
	if status := p.wait(); status != 0 || !json.Valid([]byte(p.log.String())) || p.out.Len() != 0 {
		t.Errorf("status %d\n%s%s", status, &p.out, &p.log)
	}
}

// dump tells the program that sends, and the one that listens: here both are this test.
func TestDumpProcess(t *testing.T) {
	b := newBench(t)
	sink := b.sink(7)
	var conn net.Conn
	var err error
	b.here.NS.Do(func() { conn, err = net.Dial("udp", netip.AddrPortFrom(b.there.V4, 7).String()) })
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, ns := range []*nettest.Namespace{b.here.NS, b.there.NS} {
		p := start(t, ns, "showing packets", "dump", "udp.DstPort == 7", "-n", "5")
		for ended := false; !ended; {
			if _, err := conn.Write(make([]byte, nettest.StreamHeader)); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-p.over:
				p.over <- err
				ended = true
			case <-time.After(time.Millisecond):
			}
		}
		if n := strings.Count(p.out.String(), fmt.Sprintf(" (%d)\n", os.Getpid())); p.wait() != 0 || n != 5 {
			t.Errorf("status %d, %d of 5 lines name this process, %d\n%s%s", p.wait(), n, os.Getpid(), &p.out, &p.log)
		}
	}
	_ = sink // its socket is what the second one looks for
}
