package lower_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/filter/lower"
	"github.com/weirnet/weir/internal/nettest"
)

// The kernel takes the largest filters. It looks at an instruction few times, however many ways lead there: less than a tenth
// of what it is willing to do, which is a million.
func TestLargestFilters(t *testing.T) {
	nettest.Need(t, nettest.Root)
	fields := []string{"tcp.Payload[-3]", "udp.Payload[7]", "packet[-8]", "length", "protocol", "tcp.SrcPort", "tcp.PayloadLength", "fragment", "ifIdx"}
	const ends = "(tcp ? random8 == 1 : (icmp ? fragment : (ipv6 ? packet[40] == 1 : udp.DstPort == 3)))"
	for name, test := range map[string]func(i int) string{
		"ports":     func(i int) string { return fmt.Sprintf("tcp.DstPort == %d", i*7) },
		"addresses": func(i int) string { return fmt.Sprintf("ipv6.SrcAddr == 2001:db8::%x:%x", i%5, i*17) },
		"ranges":    func(i int) string { return fmt.Sprintf("localAddr %s 2001:db8::%x", []string{"<", ">"}[i%2], i*17) },
		"both ends": func(i int) string {
			return fmt.Sprintf("%sAddr == 2001:db8::%x", []string{"local", "remote"}[i%2], i*17)
		},
		"words":   func(i int) string { return fmt.Sprintf("packet[%d] == %d", i+1, i) },
		"payload": func(i int) string { return fmt.Sprintf("tcp.Payload[%d] == %d", i+1, i) },
		"fields":  func(i int) string { return fmt.Sprintf("%s == %d", fields[i%len(fields)], i%256) },
		"left": func(i int) string {
			return fmt.Sprintf("(random8 < %d ? tcp.DstPort == %d : udp.DstPort != %d)", i%256, i, i)
		},
	} {
		for _, word := range []string{" or ", " and "} {
			for _, hook := range []lower.Hook{lower.Output, lower.Input} {
				p := longest(t, word, ends, test)
				r := mustLowerProgram(t, p, hook)
				verified := verify(t, r)
				t.Logf("%s%sat %s: %d tests, %d instructions, %d verified", name, word, hook.Name, p.Tests(), r.Size(), verified)
			}
		}
	}
}

// longest returns a filter of as many tests as the language takes.
func longest(t *testing.T, word, ends string, test func(i int) string) *filter.Program {
	t.Helper()
	var terms []string
	for i := range 255 {
		terms = append(terms, test(i))
	}
	for ; len(terms) > 50; terms = terms[1:] {
		if p, err := filter.Parse(strings.Join(terms, word)+word+ends, addr.Network); err == nil {
			return p
		}
	}
	t.Fatal("no filter")
	return nil
}

// verify loads a program and returns how many instructions the verifier looked at.
func verify(t *testing.T, r *lower.Result) uint32 {
	t.Helper()
	prog := load(t, r.Program(lower.Code{}))
	defer prog.Close()
	info, err := prog.Info()
	if err != nil {
		t.Fatal(err)
	}
	n, ok := info.VerifiedInstructions()
	if ok && n > 100_000 || r.Size() > maxJump {
		t.Errorf("%d instructions, %d verified", r.Size(), n)
	}
	return n
}

// Neither do objects that no text makes.
func TestHostileObjects(t *testing.T) {
	nettest.Need(t, nettest.Root)
	d := newDice(5)
	most, verified := 0, uint32(0)
	for i := range 60 {
		every := []int{1000, 100, 20, 5, 3, 2}[i%6] // one of so many is left to user space
		var tests []*filter.Program
		for j := range 255 {
			s := fmt.Sprintf("packet[-%d] >= %d", d.IntN(3000)+1, d.IntN(256))
			switch {
			case j%every == every-1:
				s = "random8 < 3"
			case j > 240: // worlds differ
				s = []string{"tcp.SrcPort < 7", "udp.DstPort < 8", "icmp.Type < 3", "icmpv6.Code < 8", "ip.TTL < 3", "ipv6.HopLimit < 5"}[d.IntN(6)]
			case i%2 == 0:
				s = fmt.Sprintf("%sAddr >= 2001:db8::%d", []string{"local", "remote"}[j%2], d.IntN(10000))
			}
			tests = append(tests, mustParse(t, s, addr.Network))
		}
		r := mustLowerProgram(t, d.rewired(t, joined(t, 255, tests...), i%4), lower.Input)
		most, verified = max(most, r.Size()), max(verified, verify(t, r))
	}
	t.Logf("at most %d instructions, %d verified", most, verified)
}

// joined returns a program of the tests of several, of at most n.
func joined(t testing.TB, n int, programs ...*filter.Program) *filter.Program {
	t.Helper()
	var b []byte
	for _, p := range programs {
		more, err := p.Binary()
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(more); i += binaryTest {
			binary.LittleEndian.PutUint16(more[i+2:], accept) // edges count from another place now
			binary.LittleEndian.PutUint16(more[i+4:], reject)
		}
		b = append(b, more...)
	}
	q, err := filter.FromBinary(b[:min(len(b), n*binaryTest)], programs[0].Layer())
	if err != nil {
		t.Fatal(err)
	}
	return q
}
