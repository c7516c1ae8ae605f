package policy

import (
	"strings"
	"testing"

	"github.com/weirnet/weir/processor"
)

func TestWeights(t *testing.T) {
	const src = `version: 1
filters:
  - {name: none, layer: outbound-transport, when: tcp.DstPort == 1, action: block}
  - {name: exact, layer: outbound-transport, weight: 0x10, when: tcp.DstPort == 2, action: block}
  - {name: auto, layer: outbound-transport, weight: auto, when: tcp.DstPort == 3, action: block}
  - {name: class, layer: outbound-transport, weight: {class: 8}, when: tcp.DstPort == 4, action: block}
`
	f, err := Parse("p", []byte(src), testOptions)
	if err != nil {
		t.Fatal(err)
	}
	w := f.Filters
	if w[0].Weight != 0 || w[1].Weight != 16 || w[2].Weight == 0 || w[2].Weight >= 1<<60 || w[3].Weight != 8<<60|w[2].Weight {
		t.Errorf("weights %#x %#x %#x %#x", w[0].Weight, w[1].Weight, w[2].Weight, w[3].Weight)
	}
	if w[2].Weighting != processor.WeightExact {
		t.Error("a weight that was found is to be found again")
	}
	for weight, want := range map[string]string{
		"{class: 16}": "p:2:56: class 16 is out of range; want 0 to 15",
		"{}":          `p:2:48: key "class" is missing; add class: …`,
		"heavy":       `p:2:48: want a whole number, auto, or {class: 0 to 15}, got "heavy"`,
		"-1":          "p:2:48: weight -1 is out of range; want 0 to 18446744073709551615",
		"[1]":         "p:2:48: want a whole number from 0 to 18446744073709551615 (decimal, or 0x…), got a list",
	} {
		_, err := Parse("p", []byte("version: 1\nfilters: [{name: a, layer: ipforward, weight:  "+weight+", action: block}]\n"), testOptions)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", weight, err, want)
		}
	}
}
