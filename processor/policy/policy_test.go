package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/processor"
)

// fake is a callout whose factory takes every kind of config.
type fake struct {
	name string
	c    fakeConfig
}

type fakeConfig struct {
	Word  string     `yaml:"word,required" oneof:"red green"`
	Count uint8      `yaml:"count" min:"1" max:"9"`
	Small int8       `yaml:"small"`
	Ports []uint16   `yaml:"ports" min:"1"`
	Addr  netip.Addr `yaml:"addr"`
	On    bool       `yaml:"on"`
	Inner *fakeInner `yaml:"inner"`
}

type fakeInner struct {
	Text string `yaml:"text"`
}

func (f *fake) Name() string { return f.name }

func (f *fake) Classify(*processor.Classification) processor.Verdict { return processor.Verdict{} }

var testOptions = Options{Factories: map[string]Factory{
	"fake": func(name string, decode func(any) error) (processor.Callout, error) {
		f := &fake{name: name}
		if err := decode(&f.c); err != nil {
			return nil, err
		}
		if f.c.Word == "red" && f.c.On {
			return nil, errors.New("red cannot be on; use green")
		}
		return f, nil
	},
	"odd": func(_ string, decode func(any) error) (processor.Callout, error) { return nil, decode(7) },
	"unreadable": func(_ string, decode func(any) error) (processor.Callout, error) {
		return nil, decode(&struct {
			C chan int `yaml:"c"`
		}{})
	},
}}

const whole = `
version: 1
driver: {backend: pcap, read: ../in.pcap, write: /tmp/out.pcapng, local: [10.0.0.1, "fd00::/8"]}
handles:
  - {layer: network, filter: "tcp or udp", priority: -5, flags: [fragments]}
  - {layer: forward, flags: [sniff, recv-only]}
sublayers:
  - {name: high, weight: 0x64}
  - {name: low}
filters:
  - {name: a, layer: outbound-transport, sublayer: high, weight: 18446744073709551615, when: tcp.DstPort == 23, action: block}
  - name: b
    layer: ipforward
    when: |
      tcp and
        tcp.Syn
    action: permit
    hard: true
  - {name: c, layer: inbound-ippacket, sublayer: low, action: callout, callout: green, type: terminating}
  - {name: d, layer: inbound-transport, action: callout, callout: green, type: inspection}
  - {name: e, layer: outbound-ippacket, when: true, action: callout, callout: red}
callouts:
  - name: green
    type: fake
    config:
      word: green
      count: 9
      small: -128
      ports: [1, 0xffff]
      addr: fd00::1
      "on": true
      inner: {text: "7"}
  - {name: red, type: fake, config: {word: red}}
`

func TestLiveDriver(t *testing.T) {
	f, err := Parse("etc/p.yaml", []byte("version: 1\ndriver: {backend: nfqueue, namespace: /run/netns/blue, fail-closed: true, spin: 50us, write: o}"), testOptions)
	want := Driver{
		Backend: "nfqueue", Write: filepath.FromSlash("etc/o"), Namespace: "/run/netns/blue", FailClosed: true, Spin: 50 * time.Microsecond,
	}
	if err != nil || !reflect.DeepEqual(f.Driver, want) {
		t.Errorf("driver %+v, %v", f.Driver, err)
	}
}

func TestWholeFile(t *testing.T) {
	opts := testOptions
	opts.WriteDirs = []string{"/tmp"}
	f, err := Parse("etc/weir/policy.yaml", []byte(whole), opts)
	if err != nil {
		t.Fatal(err)
	}
	want := Driver{
		Backend: "pcap", Read: filepath.FromSlash("etc/in.pcap"), Write: "/tmp/out.pcapng",
		Local: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("fd00::/8")},
	}
	if f.Version != 1 || f.Name != "etc/weir/policy.yaml" || !reflect.DeepEqual(f.Driver, want) {
		t.Errorf("version %d, driver %+v", f.Version, f.Driver)
	}
	var handles []string
	for _, h := range f.Handles {
		handles = append(handles, fmt.Sprint(h.Filter.Layer(), " ", h.Filter, " ", h.Priority, " ", h.Flags))
	}
	if got := strings.Join(handles, "; "); got != "network tcp or udp -5 fragments; forward true 0 sniff|recv-only" {
		t.Errorf("handles %s", got)
	}
	if len(f.Sublayers) != 2 || f.Sublayers[0].Sublayer != (processor.Sublayer{Name: "high", Weight: 100}) || f.Sublayers[1].Line != 9 {
		t.Errorf("sublayers %+v", f.Sublayers)
	}
	var filters []string
	for _, x := range f.Filters {
		filters = append(filters, fmt.Sprint(x.Name, x.Layer, x.Sublayer, x.Weight, x.When, x.Action, x.Hard, x.Callout != nil, x.Line, x.Column))
	}
	for i, want := range []string{
		"a outbound-transport high18446744073709551615 tcp.DstPort == 23 block false false 11 5",
		"b ipforward default0 tcp and\n  tcp.Syn\n permit true false 12 5",
		"c inbound-ippacket low0 <nil> callout-terminating false true 19 5",
		"d inbound-transport default0 <nil> callout-inspection false true 20 5",
		"e outbound-ippacket default0 true callout-unknown false true 21 5",
	} {
		if squash(filters[i]) != squash(want) {
			t.Errorf("filter %s, want %s", filters[i], want)
		}
	}
	inner := &fakeInner{Text: "7"}
	green := fakeConfig{
		Word: "green", Count: 9, Small: -128, Ports: []uint16{1, 65535}, Addr: netip.MustParseAddr("fd00::1"), On: true, Inner: inner,
	}
	if len(f.Callouts) != 2 || f.Callouts[0].Type != "fake" || !reflect.DeepEqual(f.Callouts[0].Callout.(*fake).c, green) {
		t.Errorf("callouts %+v", f.Callouts)
	}
	if got := f.Policy.Filters(); !reflect.DeepEqual(got, []string{"a", "b", "c", "d", "e"}) || len(f.Policy.Callouts()) != 2 {
		t.Errorf("policy of %v", got)
	}
}

func squash(s string) string { return strings.Join(strings.Fields(s), "") }

// Leaving everything out is a policy, too: nothing is blocked.
func TestDefaults(t *testing.T) {
	f, err := Parse("p", []byte("version: 1\ndriver: {backend: sim}\nfilters:\n# none\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if f.Driver.Packets != PacketsDefault || f.Driver.Seed != SeedDefault {
		t.Errorf("driver %+v", f.Driver)
	}
	if len(f.Handles) != 1 || f.Handles[0].Filter.String() != "true" || f.Handles[0].Filter.Layer() != divertdrv.Network {
		t.Errorf("handles %v", f.Handles)
	}
	f, err = Parse("p", []byte("version: 1\ndriver: {backend: sim, packets: 0, seed: 0}"), Options{})
	if err != nil || f.Driver.Packets != 0 || f.Driver.Seed != 0 {
		t.Errorf("driver %+v, %v", f.Driver, err)
	}
	f, err = Parse("p", []byte("version: 1"), Options{})
	if err != nil || f.Driver.Backend != "" {
		t.Errorf("driver %+v, %v", f.Driver, err)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "p.yaml")
	if err := os.WriteFile(path, []byte("version: 1\ndriver: {backend: pcap, read: a/b.pcap}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Load(path, Options{})
	if err != nil || f.Driver.Read != filepath.Join(dir, "a", "b.pcap") {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := Load(filepath.Join(dir, "none"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if _, err := Load(dir, Options{}); err == nil {
		t.Error("a directory was read")
	}
	large := append([]byte("version: 1\n#"), make([]byte, SizeMax)...)
	if err := os.WriteFile(path, large, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, Options{}); err == nil || err.Error() != path+": larger than 4 MiB; split it, or let fewer filters do the work" {
		t.Errorf("error %v", err)
	}
}
