package count

import (
	"context"
	"encoding/json"
	"io"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"go.uber.org/goleak"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/processor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// witness counts by gopacket what the source makes.
type witness struct {
	*simdrv.Traffic
	want Stats
}

func (w *witness) Next() (*divertdrv.Address, []byte, error) {
	a, data, err := w.Traffic.Next()
	if err == nil {
		direction := &w.want.Inbound
		if a.Outbound() {
			direction = &w.want.Outbound
		}
		c := transportOf(direction, data)
		c.Packets++
		c.Bytes += uint64(len(data))
	}
	return a, data, err
}

func transportOf(d *Transports, data []byte) *Count {
	first := layers.LayerTypeIPv4
	if data[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	p := gopacket.NewPacket(data, first, gopacket.Default)
	// gopacket does not look into fragments; the first one has the transport header.
	if ip, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4); ok && ip.Flags&layers.IPv4MoreFragments != 0 && ip.FragOffset == 0 {
		return byProtocol(d, ip.Protocol)
	}
	if f, ok := p.Layer(layers.LayerTypeIPv6Fragment).(*layers.IPv6Fragment); ok && f.FragmentOffset == 0 {
		return byProtocol(d, f.NextHeader)
	}
	for kind, c := range map[gopacket.LayerType]*Count{
		layers.LayerTypeTCP: &d.TCP, layers.LayerTypeUDP: &d.UDP, layers.LayerTypeICMPv4: &d.ICMP, layers.LayerTypeICMPv6: &d.ICMPv6,
	} {
		if p.Layer(kind) != nil {
			return c
		}
	}
	return &d.Other
}

func byProtocol(d *Transports, p layers.IPProtocol) *Count {
	switch p {
	case layers.IPProtocolTCP:
		return &d.TCP
	case layers.IPProtocolUDP:
		return &d.UDP
	case layers.IPProtocolICMPv4:
		return &d.ICMP
	case layers.IPProtocolICMPv6:
		return &d.ICMPv6
	}
	return &d.Other
}

// inspect runs a policy that shows every packet to c once, and checks the law.
func inspect(t *testing.T, c *Callout, source simdrv.Source) {
	t.Helper()
	sim := simdrv.New(simdrv.Config{Source: source})
	defer sim.Close()
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		t.Fatal(err)
	}
	pol, err := processor.NewPolicy(nil, []processor.Filter{
		{Name: "in", Layer: processor.InboundIPPacket, Action: processor.ActionCalloutInspection, Callout: c},
		{Name: "out", Layer: processor.OutboundIPPacket, Action: processor.ActionCalloutInspection, Callout: c},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := processor.New(processor.Config{Handles: []*divertdrv.Handle{h}, Policy: pol})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	s := h.Stats()
	if err := s.Conserved(); err != nil || s.Passed != s.Received || s.InBatch != 0 {
		t.Errorf("every packet passes: %+v, %v", s, err)
	}
	if b := p.Stats().Breaches; b != 0 {
		t.Errorf("%d breaches of the contract of inspection", b)
	}
}

func TestCountsWhatGopacketCounts(t *testing.T) {
	const packets = 3000
	c := New("all")
	w := &witness{Traffic: simdrv.NewTraffic(7, packets)}
	inspect(t, c, w)
	got, want := c.Stats(), w.want
	if got != want {
		t.Errorf("counted %+v\nwant    %+v", got, want)
	}
	if total := got.Total(); total.Packets != packets {
		t.Errorf("total %+v, want %d packets", total, packets)
	}
	for name, d := range map[string]Transports{"inbound": got.Inbound, "outbound": got.Outbound} {
		if d.TCP.Packets == 0 || d.UDP.Packets == 0 || d.Other.Packets == 0 {
			t.Errorf("the traffic lacks something %s: %+v", name, d)
		}
	}
}

func TestCountersNameWhatIsNotZero(t *testing.T) {
	c := New("all")
	c.Counters(func(name string, _ uint64) bool {
		t.Errorf("counter %s of nothing", name)
		return true
	})
	inspect(t, c, simdrv.NewTraffic(1, 500))
	var packets uint64
	seen := map[string]uint64{}
	for name, n := range c.Counters {
		if n == 0 || seen[name] != 0 {
			t.Errorf("counter %s: %d", name, n)
		}
		seen[name] = n
	}
	for name, n := range seen {
		if len(name) > 8 && name[len(name)-8:] == "_packets" {
			packets += n
		}
	}
	if packets != 500 || seen["outbound_tcp_packets"] != c.Stats().Outbound.TCP.Packets {
		t.Errorf("counters %v", seen)
	}
	for range c.Counters {
		break // a reader may stop
	}
	if _, err := json.Marshal(c.Stats()); err != nil {
		t.Error(err)
	}
}

func TestFactoryTakesNoKeys(t *testing.T) {
	c, err := Factory("x", func(any) error { return nil })
	if err != nil || c.Name() != "x" {
		t.Errorf("%v, %v", c, err)
	}
	if _, err := Factory("x", func(any) error { return io.ErrUnexpectedEOF }); err != io.ErrUnexpectedEOF {
		t.Errorf("error %v", err)
	}
}

func TestClassifyDoesNotAllocate(t *testing.T) {
	c := New("x")
	var a divertdrv.Address
	_, data, _ := simdrv.NewTraffic(1, 1).Next()
	cl := &processor.Classification{Layer: processor.OutboundTransport, Packet: divertdrv.NewPacket(a, data)}
	cl.Headers()
	if n := testing.AllocsPerRun(1000, func() { c.Classify(cl) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
