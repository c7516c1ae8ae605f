package google

import (
	"context"
	"net"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/workload"
)

// rule is one of the pipeline's, as programs with gopacket have them.
type rule struct {
	dst  net.IPNet
	port layers.TCPPort
}

func rulesOf(all []workload.Rule) []rule {
	rules := make([]rule, len(all))
	for i, r := range all {
		rules[i] = rule{net.IPNet{IP: r.Dst.Addr().AsSlice(), Mask: net.CIDRMask(r.Dst.Bits(), 32)}, layers.TCPPort(r.Port)}
	}
	return rules
}

// match returns the number of the first rule that matches, -1 for none.
func match(rules []rule, dst net.IP, port layers.TCPPort) int {
	for i := range rules {
		if rules[i].dst.Contains(dst) && rules[i].port == port {
			return i
		}
	}
	return -1
}

// linear does the same without a call for each rule: what one writes who has seen a profile.
type linear struct {
	net, mask uint32
	port      layers.TCPPort
}

func linearOf(all []workload.Rule) []linear {
	rules := make([]linear, len(all))
	for i, r := range all {
		a := r.Dst.Addr().As4()
		rules[i] = linear{word(a[:]), ^uint32(0) << (32 - r.Dst.Bits()), layers.TCPPort(r.Port)}
	}
	return rules
}

func word(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// options: the outbound packet is written anew, as gopacket changes none in place.
var options = gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}

// stage does all of the pipeline but the hop, and returns the packet that goes on; nil: none.
type stage func(pkt []byte, outbound, loopback bool) ([]byte, error)

// idiomatic: a Packet for each, rules of net.IPNet tried one after another, a new buffer for what is written.
func idiomatic(w *workload.Pipeline) stage {
	rules := rulesOf(w.Rules)
	return func(pkt []byte, outbound, loopback bool) ([]byte, error) {
		p := gopacket.NewPacket(pkt, layers.LayerTypeIPv4, gopacket.Default)
		ip, ok4 := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if !ok4 || !ok || !outbound || tcp.DstPort != workload.Port || len(tcp.Payload) == 0 || loopback {
			return nil, nil
		}
		if match(rules, ip.DstIP, tcp.DstPort) != len(rules)-1 {
			return nil, nil
		}
		ip.TTL = workload.PipelineTTL
		tcp.Payload[0] = workload.PipelineByte
		if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
			return nil, err
		}
		buf := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(buf, options, ip, tcp, gopacket.Payload(tcp.Payload)); err != nil {
			return nil, err
		}
		return buf.Bytes(), nil
	}
}

// tuned: a DecodingLayerParser, words instead of net.IPNet, one buffer for all, copied for who gets it.
func tuned(w *workload.Pipeline) stage {
	rules := linearOf(w.Rules)
	d := newDecoder()
	buf := gopacket.NewSerializeBuffer()
	return func(pkt []byte, outbound, loopback bool) ([]byte, error) {
		if _, tcp := d.decode(pkt); !tcp || !outbound || d.tcp.DstPort != workload.Port || len(d.tcp.Payload) == 0 || loopback {
			return nil, nil
		}
		if d.match(rules) != len(rules)-1 {
			return nil, nil
		}
		d.ip4.TTL = workload.PipelineTTL
		d.tcp.Payload[0] = workload.PipelineByte // of the ring: the same each time
		if err := d.tcp.SetNetworkLayerForChecksum(&d.ip4); err != nil {
			return nil, err
		}
		if err := gopacket.SerializeLayers(buf, options, &d.ip4, &d.tcp, gopacket.Payload(d.tcp.Payload)); err != nil {
			return nil, err
		}
		return append([]byte(nil), buf.Bytes()...), nil
	}
}

func (d *decoder) match(rules []linear) int {
	dst, port := word(d.ip4.DstIP), d.tcp.DstPort
	for i := range rules {
		if r := &rules[i]; r.port == port && dst&r.mask == r.net {
			return i
		}
	}
	return -1
}

// startPipeline runs a stage and hands packets over by a channel, one at a time.
func startPipeline(build func(*workload.Pipeline) stage) func(context.Context, bench.Env) (bench.Trial, error) {
	return func(_ context.Context, env bench.Env) (bench.Trial, error) {
		w, err := workload.NewPipeline(env.Params.Get("size"), env.Params.Get("rules"), env.Seed)
		if err != nil {
			return bench.Trial{}, err
		}
		l := &line{ring: w.Ring, stage: build(w)}
		var d workload.Digest
		if err := l.run(len(w.Ring), d.Packet); err != nil {
			return bench.Trial{}, err
		}
		do := func(n int) error { return l.run(n, func([]byte) {}) }
		return bench.Trial{Digest: d.String(), Run: bench.Loop(bench.Work{Each: 64, Packets: 1, Bytes: workload.MeanLen(w.Ring), Do: do})}, nil
	}
}

// line is a pipeline: the goroutine that works, and the one that gets what it did.
type line struct {
	ring  [][]byte
	at    int
	stage stage
	bytes uint64
}

func (l *line) run(n int, each func([]byte)) error {
	out, done := make(chan []byte, 64), make(chan uint64)
	go func() {
		sum := uint64(0)
		for pkt := range out {
			sum += uint64(len(pkt)) + uint64(pkt[0])
			each(pkt)
		}
		done <- sum
	}()
	var failed error
	for range n {
		if l.at++; l.at >= len(l.ring) {
			l.at = 0
		}
		pkt, err := l.stage(l.ring[l.at], true, false)
		if err != nil {
			failed = err
			break
		}
		if pkt != nil {
			out <- pkt
		}
	}
	close(out)
	l.bytes += <-done
	return failed
}
