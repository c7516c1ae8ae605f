package pcapdrv_test

import (
	"encoding/binary"
	"testing"

	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

// pseudo is the sum of the pseudo header, not inverted: what is left in a packet whose checksum the hardware fills in.
func pseudo(ip []byte, length int) uint16 {
	addresses, proto := ip[12:20], ip[9]
	if ip[0]>>4 == 6 {
		addresses, proto = ip[8:40], ip[6]
	}
	return sum16(uint64(proto)+uint64(length), addresses)
}

func tcp(payload string) []byte {
	b := make([]byte, 20, 20+len(payload))
	b[1], b[3], b[12], b[13] = 80, 81, 0x50, 0x18
	return append(b, payload...)
}

func TestChecksumsFinal(t *testing.T) {
	v4 := func(proto byte, payload []byte) []byte { return ipv4(hostA, hostB, proto, payload) }
	v6 := func(proto byte, payload []byte) []byte { return ipv6([16]byte{1}, [16]byte{2}, proto, payload) }
	set := func(ip []byte, at int, sum uint16) []byte { binary.BigEndian.PutUint16(ip[at:], sum); return ip }
	seg, dgram := tcp("data"), udp("data")
	fragment := set(v4(6, tcp("first fragment")), 36, pseudo(v4(6, tcp("first fragment")), 34))
	fragment[6] = 0x20
	for _, c := range []struct {
		name           string
		ip             []byte
		sum, tcp4, udp bool
	}{
		{"TCP", set(v4(6, tcp("data")), 36, 0x1234), true, true, true},
		{"TCP partial", set(v4(6, tcp("data")), 36, pseudo(v4(6, seg), len(seg))), true, false, true},
		{"TCP partial without length", set(v4(6, tcp("data")), 36, pseudo(v4(6, seg), 0)), true, false, true},
		{"TCP partial IPv6", set(v6(6, tcp("data")), 56, pseudo(v6(6, seg), len(seg))), true, false, true},
		{"UDP partial", set(v4(17, udp("data")), 26, pseudo(v4(17, dgram), len(dgram))), true, true, false},
		{"UDP partial IPv6", set(v6(17, udp("data")), 46, pseudo(v6(17, dgram), len(dgram))), true, true, false},
		{"UDP without checksum", v4(17, udp("data")), true, true, true},
		{"header checksum left out", set(v4(1, make([]byte, 8)), 10, 0), false, true, true},
		{"fragment", fragment, true, true, true},
		{"TCP cut in its header", v4(6, tcp("data"))[:30], true, true, true},
	} {
		got := pcapdrv.Decap(pcapdrv.Frame{Link: pcapdrv.LinkRaw, Data: c.ip})
		if got.IPSum != c.sum || got.TCPSum != c.tcp4 || got.UDPSum != c.udp {
			t.Errorf("%s: final are IP %v, TCP %v, UDP %v; want %v, %v, %v", c.name, got.IPSum, got.TCPSum, got.UDPSum, c.sum, c.tcp4, c.udp)
		}
	}
}

// In a capture that was recorded with offload, what is called open is what a slow sum finds wrong, and nothing else.
func TestChecksumsFinalInCapture(t *testing.T) {
	for _, c := range []struct {
		file string
		open bool
	}{{"offload.pcap", true}, {"http.pcap", false}, {"iperf3.pcap", false}} {
		left, wrong := 0, 0
		d := open(t, pcapdrv.Options{In: "../../testdata/captures/" + c.file})
		for _, p := range receiveAll(t, d) {
			if !p.TCPChecksum() || !p.UDPChecksum() || !p.IPChecksum() {
				left++
			}
			if !sumsRight(p.data) {
				wrong++
			}
		}
		if left != wrong || (left > 0) != c.open {
			t.Errorf("%s: %d open, %d wrong", c.file, left, wrong)
		}
	}
}

// sumsRight says whether the TCP or UDP checksum of a packet without options, extension headers and fragments is right.
func sumsRight(ip []byte) bool {
	header, proto := 20, ip[9]
	if ip[0]>>4 == 6 {
		header, proto = 40, ip[6]
	}
	if proto != 6 && proto != 17 || proto == 17 && ip[header+6] == 0 && ip[header+7] == 0 {
		return true
	}
	segment := ip[header:]
	return sum16(uint64(pseudo(ip, len(segment))), segment) == 0xffff
}
