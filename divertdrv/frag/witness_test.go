package frag_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/ip4defrag"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/frag"
	"github.com/weirnet/weir/divertdrv/wire"
)

// gopacket's defragmenter and ours make the same of the same fragments, cut at random places by the test itself and by our
// Cutter. It takes no header with options and no last fragment of less than 8 bytes.
func TestGopacketJoinsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOfN(rapid.Byte(), 16, 400).Draw(t, "payload")
		p := append(piece{0, 0, false, 0}.build(false), slices.Repeat(payload, rapid.IntRange(1, 100).Draw(t, "times"))...)
		p[2], p[3] = byte(len(p)>>8), byte(len(p))
		p[10], p[11] = 0, 0
		sum := wire.Checksum(p[:20])
		p[10], p[11] = byte(sum>>8), byte(sum)
		var all [][]byte
		if rapid.Bool().Draw(t, "ours") {
			all = fragments(t, p, frag.Limit{MTU: rapid.IntRange(68, 1500).Draw(t, "MTU")})
		} else {
			all = cutAnywhere(t, p)
		}
		if len(all) == 1 || len(all[len(all)-1]) < 28 {
			return
		}
		all = rapid.Permutation(all).Draw(t, "order")
		theirs, ours := joinByGopacket(t, all), frag.Result{}
		o := newOwner(t, frag.Config{Pieces: 8192})
		for _, f := range all {
			ours = o.add(f)
		}
		if !bytes.Equal(theirs, p[20:]) || !bytes.Equal(ours.Whole, p) {
			t.Fatalf("%d fragments of %d bytes: gopacket has %d bytes, we %v with %d", len(all), len(p), len(theirs), ours.Outcome, len(ours.Whole))
		}
	})
}

// cutAnywhere cuts at random multiples of 8, with none of the package's code.
func cutAnywhere(t *rapid.T, p []byte) [][]byte {
	var all [][]byte
	for at, body := 0, p[20:]; at < len(body); {
		n := 8 * rapid.IntRange(1, 190).Draw(t, "units")
		end := min(at+n, len(body))
		if len(body)-end < 8 {
			end = len(body)
		}
		f := append(piece{at, 0, end < len(body), 0}.build(false), body[at:end]...)
		f[2], f[3] = byte(len(f)>>8), byte(len(f))
		all = append(all, f)
		at = end
	}
	return all
}

func joinByGopacket(t *rapid.T, all [][]byte) []byte {
	d := ip4defrag.NewIPv4Defragmenter()
	for _, f := range all {
		var ip layers.IPv4
		if err := ip.DecodeFromBytes(f, gopacket.NilDecodeFeedback); err != nil {
			t.Fatal(err)
		}
		out, err := d.DefragIPv4WithTimestamp(&ip, time.Unix(1, 0))
		if err != nil {
			t.Fatalf("gopacket: %v", err)
		}
		if out != nil {
			return out.Payload
		}
	}
	return nil
}

// What the kernel sent in fragments is joined: every transport checksum is right then. Cut again, each packet becomes the very
// fragments that the kernel made of it.
func TestCaptures(t *testing.T) {
	for name, wholes := range map[string]int{"ping.pcap": 8, "mixed.pcapng": 8} {
		t.Run(name, func(t *testing.T) {
			o := newOwner(t, frag.Config{})
			came := make(map[string][][]byte) // by what identifies a packet
			n := 0
			for _, p := range capture(t, name) {
				var h wire.Headers
				if wire.Parse(p, &h); !h.Fragment {
					continue
				}
				id := identity(p, &h)
				came[id] = append(came[id], p[:h.Len])
				if res := o.add(p); res.Outcome == frag.Joined {
					n++
					checkCaptured(t, res, came[id], &h, p)
				} else if res.Outcome != frag.Held {
					t.Fatalf("%v", res.Outcome)
				}
			}
			if s := o.Stats(); n < wholes || s.Waiting != 0 {
				t.Fatalf("%d packets joined, want %d at least; %+v", n, wholes, s)
			}
			t.Logf("%d packets of %d fragments", n, o.given)
		})
	}
}

func identity(p []byte, h *wire.Headers) string {
	if h.Version == 4 {
		return string(p[12:20]) + string(p[4:6])
	}
	return string(p[8:40]) + string(p[44:48])
}

func checkCaptured(t *testing.T, res frag.Result, came [][]byte, f *wire.Headers, p []byte) {
	t.Helper()
	whole := slices.Clone(res.Whole)
	h := parse(t, whole)
	body := whole[h.TransportOff:]
	if h.Transport == wire.NoTransport || h.Transport == wire.ICMP && checksum.Checksum(body, 0) != 0xffff ||
		h.Transport != wire.ICMP && !verifies(whole, h) {
		t.Errorf("%v of %d bytes: the checksum is wrong", h.Transport, len(whole))
	}
	l := frag.Limit{MTU: 1500, Sender: true}
	if h.Version == 6 {
		l.ID = f.FragmentHeaderOf(p).ID()
	}
	slices.SortFunc(came, func(a, b []byte) int { return int(parse(t, a).FragOff) - int(parse(t, b).FragOff) })
	for i, f := range fragments(t, whole, l) {
		if i >= len(came) || !bytes.Equal(f, came[i]) {
			t.Errorf("fragment %d is not the kernel's:\n% x\n% x", i, f[:60], came[i][:60])
		}
	}
}

// capture reads the IP packets of a capture of Ethernet frames.
func capture(t *testing.T, name string) (packets [][]byte) {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "..", "testdata", "captures", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var r gopacket.PacketDataSource
	if strings.HasSuffix(name, "ng") {
		r, err = pcapgo.NewNgReader(file, pcapgo.DefaultNgReaderOptions)
	} else {
		r, err = pcapgo.NewReader(file)
	}
	if err != nil {
		t.Fatal(err)
	}
	for {
		frame, _, err := r.ReadPacketData()
		if err == io.EOF {
			return packets
		}
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, slices.Clone(frame[14:]))
	}
}

// Super-packets of a real connection become packets that fit an Ethernet, with right checksums where they had only half of one.
func TestCapturedSuperPackets(t *testing.T) {
	n := 0
	for _, p := range capture(t, "offload.pcap") {
		var h wire.Headers
		if wire.Parse(p, &h); h.Len <= 1500 || h.Truncated {
			continue
		}
		l := frag.Limit{MTU: 1500}
		if got := frag.Fit(p, &h, l); got != frag.BySegments {
			t.Fatalf("%v", got)
		}
		var c frag.Cutter
		var payload []byte
		if err := c.Cut(p, &h, l, func(s []byte) error {
			hs := parse(t, s)
			if len(s) > 1500 || !verifies(s, hs) {
				t.Errorf("a segment of %d bytes, or a wrong checksum", len(s))
			}
			payload = append(payload, hs.Payload(s)...)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if n++; !bytes.Equal(payload, h.Payload(p)) {
			t.Error("the payload is another one")
		}
	}
	if n == 0 {
		t.Fatal("no super-packet in the capture")
	}
	t.Logf("%d super-packets", n)
}
