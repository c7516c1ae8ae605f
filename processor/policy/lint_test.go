package policy

import (
	"fmt"
	"strings"
	"testing"
)

func TestLint(t *testing.T) {
	const head = "version: 1\n"
	for _, c := range []struct{ name, src, want string }{
		{"clean", head + "filters:\n" +
			"- {name: a, layer: inbound-transport, weight: 2, when: tcp, action: permit}\n" +
			"- {name: b, layer: inbound-transport, weight: 1, action: block}\n" +
			"- {name: c, layer: outbound-transport, when: true, action: permit}\n", ""},
		{
			"conditions", head + "filters:\n" +
				"- {name: a, layer: ipforward, when: tcp.DstPort == 70000, action: block}\n" +
				"- {name: b, layer: ipforward, when: tcp or not tcp, action: block}\n",
			`3:3 a: filter "a" never matches: no packet meets tcp.DstPort == 70000; correct the condition, or remove the filter` + "\n" +
				`4:3 b: filter "b" always matches: every packet meets tcp or not tcp; correct the condition, or leave "when" out`,
		},
		{
			"shadowed", head + "filters:\n" +
				"- {name: low, layer: inbound-transport, weight: 1, when: udp, action: block}\n" +
				"- {name: all, layer: inbound-transport, weight: 5, action: permit}\n" +
				"- {name: last, layer: inbound-transport, action: block}\n" +
				"- {name: other, layer: outbound-transport, when: udp, action: block}\n" +
				"- {name: again, layer: outbound-transport, when: udp, action: permit}\n",
			`3:3 low: filter "low" is never asked: "all" in line 4 decides all that it could match; give it a higher weight or another sublayer, or remove it` + "\n" +
				`5:3 last: filter "last" is never asked: "all" in line 4 decides all that it could match; give it a higher weight or another sublayer, or remove it` + "\n" +
				`7:3 again: filter "again" is never asked: "other" in line 6 decides all that it could match; give it a higher weight or another sublayer, or remove it`,
		},
		{
			// What cannot be decoded meets no condition, so at packet layers true leaves something to the next filter.
			"not shadowed", head + "filters:\n" +
				"- {name: a, layer: inbound-ippacket, weight: 5, when: true, action: permit}\n" +
				"- {name: b, layer: inbound-ippacket, action: block}\n" +
				"- {name: c, layer: inbound-transport, weight: 5, action: callout, callout: c}\n" +
				"- {name: d, layer: inbound-transport, action: block}\n" +
				"callouts: [{name: c, type: fake, config: {word: red}}]\n", "",
		},
		{
			"shadowed by true", head + "filters:\n" +
				"- {name: a, layer: inbound-transport, weight: 5, when: true, action: permit}\n" +
				"- {name: b, layer: inbound-transport, action: block}\n",
			`4:3 b: filter "b" is never asked: "a" in line 3 decides all that it could match; give it a higher weight or another sublayer, or remove it`,
		},
		{
			"unused", head + "sublayers: [{name: s}, {name: default, weight: 3}]\nfilters: [{name: a, layer: ipforward, action: permit}]\ncallouts: [{name: c, type: fake, config: {word: red}}]\n",
			`2:13 : sublayer "s" has no filters; remove it` + "\n" +
				`4:12 : callout "c" is named by no filter; remove it, or name it in a filter with action: callout`,
		},
		{
			"no handle", head + "handles: [{layer: network}]\nfilters: [{name: a, layer: ipforward, action: permit}]\n",
			`3:11 a: filter "a" sees nothing: no handle is at layer forward; add {layer: forward} to the handles, or leave them out`,
		},
	} {
		f, err := Parse("p", []byte(c.src), testOptions)
		if err != nil {
			t.Fatal(c.name, err)
		}
		var got []string
		for _, l := range f.Lint() {
			got = append(got, fmt.Sprintf("%d:%d %s: %s; %s", l.Line, l.Column, l.Filter, l.Msg, l.Remedy))
		}
		if s := strings.Join(got, "\n"); s != c.want {
			t.Errorf("%s\ngot\n%s\nwant\n%s", c.name, s, c.want)
		}
	}
}
