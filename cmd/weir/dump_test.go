package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

func TestDump(t *testing.T) {
	local := time.Local
	time.Local = time.UTC // of the lines
	defer func() { time.Local = local }()
	const interesting = "fragment or tcp.Syn or icmp or icmpv6.Type == 135 or udp.DstPort == 53"
	args := []string{"dump", interesting, "-r", captures + "mixed.pcapng", "-n", "60"}
	o := weir(t, "", args...)
	if o.status != exitDone || o.err != "60 packets received, 0 lost\n" {
		t.Errorf("status %d, %s", o.status, o.err)
	}
	golden(t, "dump.txt", o.out)
	o = weir(t, "", append(args, "--json")...)
	if o.status != exitDone || o.err != "{\"received\":60,\"lost\":0}\n" {
		t.Errorf("status %d, %s", o.status, o.err)
	}
	golden(t, "dump.jsonl", o.out)
}

// What is recorded is what was shown, and reading it again shows the same.
func TestDumpRecords(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.pcapng")
	first := weir(t, "", "dump", "udp", "-r", captures+"dns.pcap", "-w", out, "--local", "10.77.0.1,fd77::1")
	if want := "14 packets received, 0 lost, 14 written to " + out + "\n"; first.status != exitDone || first.err != want {
		t.Errorf("status %d, %s", first.status, first.err)
	}
	second := weir(t, "", "dump", "true", "-r", out, "--local", "10.77.0.1,fd77::1")
	if second.status != exitDone || second.out != first.out || strings.Count(first.out, "\n") != 14 {
		t.Errorf("status %d\n%s\n%s", second.status, second.out, first.out)
	}
	all, frames := packets(t, out)
	if frames != 14 || all[0].direction == pcapdrv.Unknown {
		t.Errorf("%d frames, the first of direction %v", frames, all[0].direction)
	}
}

func TestDumpRefuses(t *testing.T) {
	capture := captures + "nano.pcap"
	for args, want := range map[string]struct {
		status int
		text   string
	}{
		"dump":                                       {exitUsage, "the filter is missing"},
		"dump tcp.DstPrt":                            {exitUsage, "did you mean tcp.DstPort?"},
		"dump true --driver sim":                     {exitUsage, "weir run true --driver sim"},
		"dump true --driver pcap":                    {exitUsage, "name one with -r"},
		"dump true --driver nfqueu":                  {exitUsage, "unknown driver"},
		"dump true --driver windivert":               {exitFailed, "this version does not have it yet"},
		"dump true --driver nfqueue -r x":            {exitUsage, "--read goes with driver pcap"},
		"dump true --timeout -1s":                    {exitUsage, "0 or more"},
		"dump true --local x -r x":                   {exitUsage, "is no address"},
		"dump true -r x.pcap":                        {exitFailed, "no such file"},
		"dump true -r root_test.go":                  {exitFailed, "not a capture"},
		"dump true --layer flow -r " + capture:       {exitUsage, "flow"},
		"dump true -r " + capture + " -w " + capture: {exitUsage, "write to another file"},
		"dump true -r " + capture + " -w no/where":   {exitFailed, "no such file"},
	} {
		o := weir(t, "", strings.Fields(args)...)
		if o.status != want.status || !strings.Contains(o.err, want.text) {
			t.Errorf("%s: status %d, %q, want %d and %q", args, o.status, o.err, want.status, want.text)
		}
	}
}

// Whatever the bytes, a packet is a line.
func FuzzDumpLine(f *testing.F) {
	f.Add([]byte{}, uint64(0))
	f.Add([]byte{0x45, 0, 0, 20, 0, 0, 0, 0, 64, 6, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}, uint64(1))
	f.Add(append([]byte{0x60, 0, 0, 0, 0, 8, 58, 64, 15: 1, 39: 2}, 128, 0, 0, 0, 0, 1, 0, 1), uint64(7))
	f.Fuzz(func(t *testing.T, data []byte, bits uint64) {
		var a divertdrv.Address
		a.SetOutbound(bits&1 != 0)
		a.SetLoopback(bits&2 != 0)
		a.SetImpostor(bits&4 != 0)
		for _, asJSON := range []bool{false, true} {
			var b strings.Builder
			l := dumpLines{asJSON: asJSON, names: map[uint32]string{}}
			p := divertdrv.NewPacket(a, data)
			if err := l.write(&b, describe(p), stamp(p)); err != nil {
				t.Fatal(err)
			}
			if strings.Count(b.String(), "\n") != 1 || asJSON && !json.Valid([]byte(b.String())) {
				t.Fatalf("%q", b.String())
			}
		}
	})
}
