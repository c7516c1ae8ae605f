package stream

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/google/gopacket/tcpassembly"

	"github.com/weirnet/weir/divertdrv/wire"
)

// What gopacket's tcpassembly reads in a capture of real connections: for each direction the same bytes.
func TestReadsWhatTcpassemblyReads(t *testing.T) {
	for _, name := range []string{"http.pcap", "iperf3.pcap", "refused.pcap"} {
		ours, theirs := readers{}, readers{}
		a := New(Config{}, func(c Conn) Reader { return &sides{ours, c} })
		pool := tcpassembly.NewStreamPool(theirs)
		b := tcpassembly.NewAssembler(pool)
		n := 0
		for pkt := range packets(t, "../../testdata/captures/"+name) {
			var h wire.Headers
			data := pkt.LinkLayer().LayerPayload()
			if wire.Parse(data, &h) {
				a.Add(data, &h, pkt.Metadata().Timestamp.UnixNano())
			}
			if tcp, ok := pkt.TransportLayer().(*layers.TCP); ok {
				b.AssembleWithTimestamp(pkt.NetworkLayer().NetworkFlow(), tcp, pkt.Metadata().Timestamp)
				n++
			}
		}
		b.FlushAll()
		a.Close()
		if got, want := ours.sums(), theirs.sums(); n == 0 || len(want) == 0 || !maps.Equal(got, want) {
			t.Errorf("%s: %d segments; read %v, tcpassembly %v", name, n, got, want)
		}
		if s := a.Stats(); !s.Conserved() || s.Segments != uint64(n) {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func packets(t *testing.T, file string) func(func(gopacket.Packet) bool) {
	return func(yield func(gopacket.Packet) bool) {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := pcapgo.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		for {
			data, ci, err := r.ReadPacketData()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			p := gopacket.NewPacket(data, r.LinkType(), gopacket.Default)
			p.Metadata().Timestamp = ci.Timestamp
			if !yield(p) {
				return
			}
		}
	}
}

// readers have the sum of the bytes of each direction, by its ends.
type readers map[string]hash.Hash

func (r readers) of(name string) hash.Hash {
	if r[name] == nil {
		r[name] = sha256.New()
	}
	return r[name]
}

func (r readers) sums() map[string]string {
	sums := map[string]string{}
	for name, h := range r {
		sums[name] = string(h.Sum(nil)[:4])
	}
	return sums
}

// sides reads a connection for Weir.
type sides struct {
	all  readers
	conn Conn
}

func (s *sides) Data(d Direction, _ uint32, b []byte) bool {
	from, to := s.conn.Opener, s.conn.Other
	if d == ToOpener {
		from, to = to, from
	}
	_, _ = s.all.of(fmt.Sprintf("%v:%d>%v:%d", from.Addr(), from.Port, to.Addr(), to.Port)).Write(b)
	return true
}

func (*sides) Closed(End) {}

// New reads a direction for tcpassembly.
func (r readers) New(net, tcp gopacket.Flow) tcpassembly.Stream {
	return &side{r, net.Src().String() + ":" + tcp.Src().String() + ">" + net.Dst().String() + ":" + tcp.Dst().String()}
}

type side struct {
	all  readers
	name string
}

func (s *side) Reassembled(all []tcpassembly.Reassembly) {
	for _, r := range all {
		if len(r.Bytes) > 0 {
			_, _ = s.all.of(s.name).Write(r.Bytes)
		}
	}
}

func (*side) ReassemblyComplete() {}
