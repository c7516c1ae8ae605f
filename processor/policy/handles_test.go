package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/processor"
)

// derived returns the handles that a policy gets which lists none.
func derived(t *testing.T, filters string) []string {
	t.Helper()
	src := "version: 1\nfilters:\n" + filters + "callouts: [{name: c, type: fake, config: {word: red}}]\n"
	f, err := Parse("p", []byte(src), testOptions)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, h := range f.Handles {
		all = append(all, fmt.Sprint(h.Filter.Layer(), " ", h.Filter))
	}
	return all
}

func TestDerivedHandles(t *testing.T) {
	plain := func(name, layer, when string) string {
		return fmt.Sprintf("- {name: %s, layer: %s, when: %q, action: block}\n", name, layer, when)
	}
	many := ""
	for i := range 200 {
		many += plain(fmt.Sprint("x", i), "inbound-transport", fmt.Sprintf("tcp.DstPort == %d or udp.DstPort == %d", i, i))
	}
	for _, c := range []struct{ name, filters, want string }{
		{"none", "", "network true"},
		{"one", plain("a", "outbound-transport", "tcp.DstPort == 23"), "network (outbound and (tcp.DstPort == 23))"},
		{
			"directions", plain("a", "outbound-ippacket", "udp") + plain("b", "inbound-ippacket", "udp") + plain("c", "inbound-transport", "udp"),
			"network (outbound and (udp)) or (inbound and (udp))",
		},
		{"forward only", plain("a", "ipforward", "udp or tcp"), "forward (udp or tcp)"},
		{"both", plain("a", "ipforward", "udp") + plain("b", "inbound-transport", "tcp"), "network (inbound and (tcp)); forward (udp)"},
		{"never", plain("a", "ipforward", "tcp.DstPort == 70000") + plain("b", "ipforward", "udp"), "forward (udp)"},
		{"only never", plain("a", "ipforward", "false"), "forward false"},
		{"without condition", plain("a", "inbound-transport", "tcp") + "- {name: b, layer: outbound-transport, action: permit}\n", "network true"},
		{"callout", plain("a", "ipforward", "udp") + "- {name: b, layer: outbound-transport, when: udp, action: callout, callout: c}\n", "network true; forward (udp)"},
		{"too many tests", many, "network true"},
	} {
		if got := strings.Join(derived(t, c.filters), "; "); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// A packet that a derived handle leaves in the kernel would have met no filter.
func TestDerivedHandlesAreSound(t *testing.T) {
	conditions := []string{
		"tcp", "udp.DstPort == 53", "fragment", "tcp.Syn and not tcp.Ack", "ip and length > 600", "ipv6 or udp", "not tcp",
		"(inbound ? tcp.SrcPort > 1000 : icmp)", "false", "true", "tcp.DstPort == 70000", "outbound", "remotePort == 443 and (tcp or udp)",
	}
	names := slices.DeleteFunc(slices.Clone(processor.LayerNames()), func(name string) bool {
		return strings.HasPrefix(name, "ipforward") // generated traffic has nothing to forward
	})
	rapid.Check(t, func(rt *rapid.T) {
		var b strings.Builder
		b.WriteString("version: 1\nfilters:\n")
		for i := range rapid.IntRange(1, 6).Draw(rt, "filters") {
			l := rapid.SampledFrom(names).Draw(rt, "layer")
			fmt.Fprintf(&b, "- {name: f%d, layer: %s, when: %q, action: block}\n", i, l, rapid.SampledFrom(conditions).Draw(rt, "when"))
		}
		f, err := Parse("p", []byte(b.String()), Options{})
		if err != nil {
			rt.Fatal(err)
		}
		traffic := simdrv.NewTraffic(rapid.Uint64().Draw(rt, "seed"), 100)
		for {
			a, data, err := traffic.Next()
			if err != nil {
				return
			}
			if !f.Handles[0].Filter.Match(a, data, nil) && touched(f, a, data) {
				rt.Fatalf("%s leaves a packet in the kernel that a filter blocks: %x", f.Handles[0].Filter, data)
			}
		}
	})
}

func touched(f *File, a *divertdrv.Address, data []byte) bool {
	for _, x := range f.Filters {
		want := processor.Inbound
		if a.Outbound() {
			want = processor.Outbound
		}
		if d := x.Layer.Direction(); (d == want || d == processor.Both) && x.When.Match(a, data, nil) {
			return true
		}
	}
	return false
}
