package google

import (
	"context"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/workload"
)

// seen is what a parser finds in a packet, for the digest.
type seen struct {
	version, src, dst, seq, payload uint64
}

// parser finds the headers of a packet.
type parser func(pkt []byte) (seen, bool)

// packets is gopacket as its documentation shows it: a Packet for each.
func packets(o gopacket.DecodeOptions) parser {
	return func(b []byte) (s seen, ok bool) {
		first := layers.LayerTypeIPv4
		s.version = 4
		if b[0]>>4 == 6 {
			first, s.version = layers.LayerTypeIPv6, 6
		}
		p := gopacket.NewPacket(b, first, o)
		tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if ok {
			s.src, s.dst, s.seq, s.payload = uint64(tcp.SrcPort), uint64(tcp.DstPort), uint64(tcp.Seq), uint64(len(tcp.Payload))
		}
		return s, ok
	}
}

// decoder is gopacket's DecodingLayerParser with layers that are used again and again.
type decoder struct {
	ip4       layers.IPv4
	ip6       layers.IPv6
	tcp       layers.TCP
	udp       layers.UDP
	from4     *gopacket.DecodingLayerParser
	from6     *gopacket.DecodingLayerParser
	found     []gopacket.LayerType
	transport bool
}

func newDecoder() *decoder {
	d := &decoder{}
	d.from4 = gopacket.NewDecodingLayerParser(layers.LayerTypeIPv4, &d.ip4, &d.ip6, &d.tcp, &d.udp)
	d.from6 = gopacket.NewDecodingLayerParser(layers.LayerTypeIPv6, &d.ip4, &d.ip6, &d.tcp, &d.udp)
	d.from4.IgnoreUnsupported, d.from6.IgnoreUnsupported = true, true
	return d
}

// decode returns the IP version, and whether the packet is TCP.
func (d *decoder) decode(b []byte) (version uint64, tcp bool) {
	p, version := d.from4, 4
	if b[0]>>4 == 6 {
		p, version = d.from6, 6
	}
	if err := p.DecodeLayers(b, &d.found); err != nil {
		return version, false
	}
	return version, len(d.found) > 1 && d.found[1] == layers.LayerTypeTCP
}

func (d *decoder) parse(b []byte) (s seen, ok bool) {
	s.version, ok = d.decode(b)
	s.src, s.dst, s.seq, s.payload = uint64(d.tcp.SrcPort), uint64(d.tcp.DstPort), uint64(d.tcp.Seq), uint64(len(d.tcp.Payload))
	return s, ok
}

var sink seen

func startParse(parse func() parser) func(context.Context, bench.Env) (bench.Trial, error) {
	return func(_ context.Context, env bench.Env) (bench.Trial, error) {
		ring, err := workload.ParseRing(env.Params.Get("packet"), env.Seed)
		if err != nil {
			return bench.Trial{}, err
		}
		p := parse()
		var d workload.Digest
		for _, pkt := range ring {
			s, _ := p(pkt)
			d.Add(s.version, s.src, s.dst, s.seq, s.payload)
		}
		at := 0
		return bench.Trial{Digest: d.String(), Run: bench.Loop(bench.Work{Packets: 1, Bytes: workload.MeanLen(ring), Do: func(n int) error {
			for range n {
				if at++; at >= len(ring) {
					at = 0
				}
				sink, _ = p(ring[at])
			}
			return nil
		}})}, nil
	}
}
