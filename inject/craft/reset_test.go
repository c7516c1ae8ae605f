package craft_test

import (
	"errors"
	"net"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject/craft"
)

// segment builds a TCP packet with gopacket, the witness here.
func segment(t testing.TB, v6 bool, tcp layers.TCP, payload string) []byte {
	t.Helper()
	var ip gopacket.SerializableLayer
	if v6 {
		l := &layers.IPv6{Version: 6, NextHeader: layers.IPProtocolTCP, HopLimit: 64, SrcIP: net.ParseIP("fd77::1"), DstIP: net.ParseIP("fd77::2")}
		_ = tcp.SetNetworkLayerForChecksum(l)
		ip = l
	} else {
		l := &layers.IPv4{
			Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolTCP,
			SrcIP: net.IPv4(10, 0, 0, 1).To4(), DstIP: net.IPv4(10, 0, 0, 2).To4(),
		}
		_ = tcp.SetNetworkLayerForChecksum(l)
		ip = l
	}
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, ip, &tcp, gopacket.Payload(payload)); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func decode(t testing.TB, b []byte) (src, dst string, tcp *layers.TCP) {
	t.Helper()
	first := layers.LayerTypeIPv4
	if b[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	pkt := gopacket.NewPacket(b, first, gopacket.Default)
	if e := pkt.ErrorLayer(); e != nil {
		t.Fatalf("gopacket: %v", e.Error())
	}
	tcp, ok := pkt.TransportLayer().(*layers.TCP)
	if !ok {
		t.Fatalf("no TCP in % x", b)
	}
	var h wire.Headers
	wire.Parse(b, &h)
	if ip, transport := wire.Verify(b, &h); transport != wire.SumGood || h.Version == 4 && ip != wire.SumGood {
		t.Errorf("checksums: IP %v, TCP %v", ip, transport)
	}
	src, dst = pkt.NetworkLayer().NetworkFlow().Src().String(), pkt.NetworkLayer().NetworkFlow().Dst().String()
	return src, dst, tcp
}

// RFC 9293 3.10.7.1: "If the incoming segment has an ACK field, the reset takes its sequence number from the ACK field of the
// segment; otherwise, the reset has sequence number zero and the ACK field is set to the sum of the sequence number and segment
// length of the incoming segment."
func TestResets(t *testing.T) {
	type want struct {
		seq, ack uint32
		withAck  bool
	}
	for _, c := range []struct {
		name             string
		tcp              layers.TCP
		payload          string
		sender, receiver want
	}{
		{"SYN", layers.TCP{Seq: 100, SYN: true}, "", want{0, 101, true}, want{100, 0, false}},
		{"SYN with data", layers.TCP{Seq: 100, SYN: true}, "abc", want{0, 104, true}, want{100, 0, false}},
		{"SYN wraps", layers.TCP{Seq: 0xffffffff, SYN: true}, "", want{0, 0, true}, want{0xffffffff, 0, false}},
		{"FIN without ACK", layers.TCP{Seq: 7, FIN: true}, "xy", want{0, 10, true}, want{7, 0, false}},
		{"SYN ACK", layers.TCP{Seq: 500, Ack: 101, SYN: true, ACK: true}, "", want{101, 0, false}, want{500, 101, true}},
		{"data", layers.TCP{Seq: 501, Ack: 900, ACK: true, PSH: true}, "hello", want{900, 0, false}, want{501, 900, true}},
		{"options", layers.TCP{Seq: 1, Ack: 2, ACK: true, Options: []layers.TCPOption{{OptionType: layers.TCPOptionKindNop}}}, "z", want{2, 0, false}, want{1, 2, true}},
	} {
		for _, v6 := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				tcp := c.tcp
				tcp.SrcPort, tcp.DstPort = 1111, 80
				pkt := segment(t, v6, tcp, c.payload)
				var h wire.Headers
				wire.Parse(pkt, &h)
				back, err := craft.ResetToSender(pkt, &h)
				if err != nil {
					t.Fatal(err)
				}
				fore, err := craft.ResetToReceiver(pkt, &h)
				if err != nil {
					t.Fatal(err)
				}
				check := func(name string, b []byte, w want, fromPort layers.TCPPort) {
					t.Helper()
					_, _, got := decode(t, b)
					if !got.RST || got.SYN || got.FIN || got.PSH || got.ACK != w.withAck {
						t.Errorf("%s: flags %+v", name, got)
					}
					if got.Seq != w.seq || got.Ack != w.ack || got.SrcPort != fromPort {
						t.Errorf("%s: seq %d ack %d from %v, want %+v from %v", name, got.Seq, got.Ack, got.SrcPort, w, fromPort)
					}
				}
				check("to sender", back, c.sender, 80)
				check("to receiver", fore, c.receiver, 1111)
				a, b, _ := decode(t, back)
				x, y, _ := decode(t, fore)
				if a != y || b != x {
					t.Errorf("addresses: back %s > %s, fore %s > %s", a, b, x, y)
				}
			})
		}
	}
}

func TestNoReset(t *testing.T) {
	rst := segment(t, false, layers.TCP{SrcPort: 1, DstPort: 2, RST: true}, "")
	whole := segment(t, false, layers.TCP{SrcPort: 1, DstPort: 2, ACK: true}, "data")
	fragment := append([]byte(nil), whole...)
	fragment[6] = 0x20
	udp := append([]byte(nil), whole...)
	udp[9] = wire.ProtoUDP
	for name, pkt := range map[string][]byte{"RST": rst, "cut off": whole[:len(whole)-1], "fragment": fragment, "UDP": udp, "empty": nil} {
		var h wire.Headers
		wire.Parse(pkt, &h)
		if _, err := craft.ResetToSender(pkt, &h); !errors.Is(err, craft.ErrNoReset) {
			t.Errorf("%s: to sender: %v", name, err)
		}
		if _, err := craft.ResetToReceiver(pkt, &h); !errors.Is(err, craft.ErrNoReset) {
			t.Errorf("%s: to receiver: %v", name, err)
		}
	}
}

// FuzzReset: any bytes give a valid RST or ErrNoReset.
func FuzzReset(f *testing.F) {
	f.Add(segment(f, false, layers.TCP{SrcPort: 1, DstPort: 2, SYN: true}, "x"))
	f.Add(segment(f, true, layers.TCP{SrcPort: 1, DstPort: 2, ACK: true}, "x"))
	f.Fuzz(func(t *testing.T, pkt []byte) {
		var h wire.Headers
		wire.Parse(pkt, &h)
		for _, build := range []func([]byte, *wire.Headers) ([]byte, error){craft.ResetToSender, craft.ResetToReceiver} {
			if b, err := build(pkt, &h); err == nil {
				if _, _, tcp := decode(t, b); !tcp.RST {
					t.Fatalf("no RST in % x", b)
				}
			}
		}
	})
}
