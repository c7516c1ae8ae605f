package drvtest

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

func TestRules(t *testing.T) {
	form := regexp.MustCompile(`^[a-z-]+/[a-z0-9'-]+$`)
	seen := map[string]bool{}
	for _, r := range Rules() {
		if !form.MatchString(r.Name) || seen[r.Name] {
			t.Errorf("%q is no name, or twice", r.Name)
		}
		seen[r.Name] = true
		if !strings.HasPrefix(r.Ref, "WinDivert ") && !strings.HasPrefix(r.Ref, "divertdrv.") && !strings.HasPrefix(r.Ref, "RFC ") {
			t.Errorf("%s: %q says not where it is written", r.Name, r.Ref)
		}
	}
}

func TestSkips(t *testing.T) {
	s := Setup{Skips: []string{"impostor/*", "open/caps"}}
	want := []string{"impostor/costs-a-hop", "impostor/hop-limit-used-up", "impostor/one-hop-only", "impostor/others-pay-nothing", "open/caps"}
	if got := s.skips(); !slices.Equal(got, want) {
		t.Errorf("skips are %q, want %q", got, want)
	}
	if got := difference(want, []string{"open/caps", "open/layers"}); !slices.Equal(got, want[:4]) {
		t.Errorf("the difference is %q, want %q", got, want[:4])
	}
}

func TestReadRows(t *testing.T) {
	const text = "| other | a |\n|---|---|\n| `x/y` | before the table |\n\n" +
		"| rule | source | sim | pcap |\n|---|---|---|---|\n| `a/b` | WinDivert 5 | yes | – |\n| `c/d` | cut |\n"
	rows, column := readRows(text, "pcap")
	if want := map[string][]string{"a/b": {"`a/b`", "WinDivert 5", "yes", "–"}}; column != 3 || !maps.EqualFunc(rows, want, slices.Equal) {
		t.Errorf("column %d, rows %q", column, rows)
	}
	if _, column := readRows(text, "nfqueue"); column != -1 {
		t.Errorf("a driver that is not there has column %d", column)
	}
}

// A rule that is recorded ends as one in a test would: Fatalf ends it, cleanups run last first, and a panic is a failure.
func TestRecord(t *testing.T) {
	var order []string
	got := record(func(t T) {
		t.Cleanup(func() { order = append(order, "first"); panic("late") })
		t.Cleanup(func() { order = append(order, "second") })
		t.Errorf("number %d", 1)
		t.Fatalf("number %d", 2)
		t.Errorf("never")
	})
	if want := []string{"number 1", "number 2", "panic: late"}; !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
	if want := []string{"second", "first"}; !slices.Equal(order, want) {
		t.Errorf("cleaned up %q, want %q", order, want)
	}
	if got := record(func(T) {}); got != nil {
		t.Errorf("nothing failed, and %q was recorded", got)
	}
}

// The suite's packets, as gopacket reads and writes them: it computes lengths and checksums anew, and nothing changes.
func TestPacketsAreSound(t *testing.T) {
	w := &World{IPv4: documentation4, IPv6: documentation6}
	for _, s := range []spec{
		{n: 1},
		{n: 2, ipv6: true},
		{n: 3, way: Inbound, size: 1499},
		{n: 4, way: Forwarded, ipv6: true, size: 1280, hops: 3, srcPort: 9},
	} {
		b := w.build(s)
		if n, ok := number(b); !ok || n != s.n {
			t.Errorf("%+v: number %d, %v", s, n, ok)
		}
		if again := serialized(t, b, s.ipv6); !bytes.Equal(again, b) {
			t.Errorf("%+v: %s", s, differ(b, again))
		}
		s.badSum = true
		if bad := w.build(s); bytes.Equal(bad, b) || bytes.Equal(serialized(t, bad, s.ipv6), bad) {
			t.Errorf("%+v: the checksum is not wrong", s)
		}
	}
}

func serialized(t *testing.T, b []byte, six bool) []byte {
	t.Helper()
	first := layers.LayerTypeIPv4
	if six {
		first = layers.LayerTypeIPv6
	}
	p := gopacket.NewPacket(b, first, gopacket.Default)
	udp, ok := p.TransportLayer().(*layers.UDP)
	if !ok {
		t.Fatalf("gopacket reads no datagram: %v", p)
	}
	if err := udp.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
		t.Fatal(err)
	}
	out := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializePacket(out, opts, p); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
