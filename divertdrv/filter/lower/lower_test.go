package lower_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/filter/lower"
)

func mustParse(t testing.TB, src string, layer addr.Layer, opts ...filter.Option) *filter.Program {
	t.Helper()
	p, err := filter.Parse(src, layer, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustLower(t testing.TB, src string, hook lower.Hook) *lower.Result {
	t.Helper()
	layer := addr.Network
	if hook.Name == lower.Forward.Name {
		layer = addr.NetworkForward
	}
	r, err := lower.Lower(mustParse(t, src, layer), hook)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What is left to user space at a hook, and what is known there.
func TestLeft(t *testing.T) {
	impostors := lower.Output
	impostors.Impostor = lower.Given
	for _, tt := range []struct {
		src  string
		hook lower.Hook
		left string // texts of the tests
		says string // always, never
	}{
		{"tcp.DstPort == 443", lower.Output, "", ""},
		{"outbound and !loopback", lower.Output, "", "always"},
		{"outbound and !loopback", lower.OutputLoopback, "", "never"},
		{"outbound and !loopback", lower.Input, "", "never"},
		{"inbound and event == PACKET and subIfIdx == 0 and zero == 0", lower.Prerouting, "", "always"},
		{"event == PACKET", lower.Forward, "", "always"},
		{"tcp and random8 < 10", lower.Output, "random8 < 10", ""},
		{"udp and tcp and random8 < 10", lower.Output, "", "never"},
		{"random8 < 10 or tcp", lower.Output, "random8 < 10", "always"},
		{"(random16 < 10 ? tcp : tcp)", lower.Output, "", ""}, // it makes no difference
		{"(timestamp < 10 ? outbound : loopback)", lower.OutputLoopback, "", "always"},
		{"timestamp < 10 and inbound", lower.Output, "", "never"},
		{"(timestamp > 5 ? tcp : udp) and (random32 > 5 ? ip : ipv6)", lower.Output, "timestamp > 5, random32 > 5", ""},
		{"ifIdx == 7", lower.Output, "ifIdx = 7", "always"},
		{"ifIdx == 7", lower.OutputLoopback, "", "never"},
		{"ifIdx == 1", lower.OutputLoopback, "", "always"},
		{"ifIdx == 7", lower.Input, "", ""},
		{"ifIdx == 7", lower.Prerouting, "", ""},
		{"ifIdx == 7", lower.Forward, "ifIdx = 7", "always"},
		{"ifIdx == 7", lower.Hook{IfIdx: 7}, "", "always"},
		{"impostor", lower.Output, "impostor", "always"},
		{"impostor", lower.Hook{Impostor: lower.No}, "", "never"},
		{"impostor", impostors, "", ""},
		{"ip.TTL > 200 or ip.TTL <= 200 or ipv6", lower.Output, "", "always"},
		{"tcp.DstPort == 1 and tcp.DstPort == 2", lower.Output, "", "never"},
		{"tcp and icmpv6.Type == 3", lower.Input, "", ""}, // of a fragment it is not known
		{"tcp and icmpv6.Type == 3", lower.Output, "", "never"},
	} {
		r := mustLower(t, tt.src, tt.hook)
		var left []string
		for _, l := range r.Left {
			left = append(left, l.Text)
			if l.Why == "" || l.Test < 1 {
				t.Errorf("%s: %+v", tt.src, l)
			}
		}
		says := map[bool]string{true: "always"}[r.Always] + map[bool]string{true: "never"}[r.Never]
		if got := strings.Join(left, ", "); got != tt.left || says != tt.says || r.Exact != (tt.left == "") {
			t.Errorf("%s at %s: left %q, %q, exact %v; want %q, %q", tt.src, tt.hook.Name, got, says, r.Exact, tt.left, tt.says)
		}
		if r.Never && r.Size() > 1 {
			t.Errorf("%s at %s never matches, and is %d instructions", tt.src, tt.hook.Name, r.Size())
		}
	}
}

// Under Compat22 the flow label is what WinDivert makes of it, which stays in user space.
func TestCompat22(t *testing.T) {
	r, err := lower.Lower(mustParse(t, "ipv6.FlowLabel == 3", addr.Network, filter.Compat22()), lower.Output)
	if err != nil || r.Exact || r.Never || r.Always {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestEventsAreRefused(t *testing.T) {
	for _, l := range []addr.Layer{addr.LayerFlow, addr.LayerSocket, addr.LayerReflect} {
		if _, err := lower.Lower(mustParse(t, "true", l), lower.Output); err == nil || !strings.Contains(err.Error(), l.String()) {
			t.Errorf("%s: %v", l, err)
		}
	}
}

func TestJSON(t *testing.T) {
	b, err := json.Marshal(mustLower(t, "tcp and random8 < 10", lower.Output))
	const want = `{"exact":false,"left":[{"test":2,"text":"random8 \u003c 10",` +
		`"why":"it derives from the timestamp, which the packet gets in user space"}]}`
	if err != nil || string(b) != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, b, want)
	}
}

// A test that makes no difference costs nothing: ports of TCP need no more of a packet than its first 20 bytes of each header.
func TestSize(t *testing.T) {
	var ports []string
	for port := range 100 {
		ports = append(ports, "tcp.DstPort == "+strings.Repeat("1", 1+port%3)+"0")
	}
	few, many := mustLower(t, "tcp.DstPort == 443", lower.Output), mustLower(t, strings.Join(ports, " or "), lower.Output)
	if few.Size() > 130 || many.Size() > few.Size()+20 {
		t.Errorf("%d instructions for one port, %d for three of them a hundred times", few.Size(), many.Size())
	}
	if r := mustLower(t, "ip.DstAddr == 10.0.0.1", lower.Output); r.Size() > 40 {
		t.Errorf("%d instructions for an address", r.Size())
	}
}

// Hostile objects take no long time and no more instructions than a jump can pass, and hang nothing.
func FuzzLower(f *testing.F) {
	for _, src := range []string{"tcp.DstPort == 443 or random8 < 3", "(timestamp > 3 ? packet[-3] == 3 : localAddr > ::1)"} {
		b, err := mustParse(f, src, addr.Network).Binary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint64(1))
	}
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		p, err := filter.FromBinary(b, addr.Network)
		if err != nil {
			return
		}
		tr := newTrial(seed, inMachine)
		for _, hook := range []lower.Hook{lower.Output, lower.Input} {
			tr.filter(t, p, &hook, tr.pool(3))
			if r := mustLowerProgram(t, p, hook); r.Size() >= maxJump {
				t.Errorf("%d instructions", r.Size())
			}
		}
	})
}

// maxJump is how many instructions a jump can pass.
const maxJump = 1<<15 - 1

func mustLowerProgram(t testing.TB, p *filter.Program, hook lower.Hook) *lower.Result {
	t.Helper()
	r, err := lower.Lower(p, hook)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
