package livetest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/weirnet/weir/internal/nettest"
)

// answer makes the answer to a DNS question (RFC 1035 4.1): a TXT record of the size that the name's first label says, in strings
// of up to 200 bytes. An OPT record in the question is dropped, which dig takes for a server that knows none.
func answer(question []byte) []byte {
	const header = 12
	if len(question) < header+1+5 {
		return nil
	}
	end := header
	for question[end] != 0 && end+int(question[end])+6 < len(question) {
		end += 1 + int(question[end])
	}
	end += 5 // the root label, type and class
	var size int
	_, _ = fmt.Sscanf(string(question[header+1:]), "t%d", &size) // 0 is an answer too
	a := append([]byte(nil), question[:end]...)
	copy(a[2:], []byte{0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0}) // an authoritative answer: one question, one record
	var text []byte
	for rest := size; rest > 0; rest -= 200 {
		n := min(rest, 200)
		text = append(append(text, byte(n)), strings.Repeat("x", n)...)
	}
	a = append(a, 0xc0, header, 0, 16, 0, 1, 0, 0, 0, 60) // the name is that of the question; TXT, IN, a minute
	a = binary.BigEndian.AppendUint16(a, uint16(len(text)))
	return append(a, text...)
}

// serveDNS answers over UDP and TCP, on one port, until the test ends.
func serveDNS(t *testing.T, at *nettest.Namespace, addr netip.Addr) {
	t.Helper()
	var u *net.UDPConn
	var l *net.TCPListener
	var uerr, lerr error
	at.Do(func() {
		u, uerr = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 53)))
		l, lerr = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 53)))
	})
	if uerr != nil || lerr != nil {
		t.Fatal(uerr, lerr)
	}
	t.Cleanup(func() { _, _ = u.Close(), l.Close() })
	go func() {
		for b := make([]byte, 1500); ; {
			n, from, err := u.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			_, _ = u.WriteToUDPAddrPort(answer(b[:n]), from)
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serveStream(c)
		}
	}()
}

// serveStream answers one question, behind its length (RFC 1035 4.2.2).
func serveStream(c net.Conn) {
	defer c.Close()
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return
	}
	question := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(c, question); err != nil {
		return
	}
	a := answer(question)
	_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...))
}

// dig gets its answers over UDP, those in fragments too, and over TCP, in both families.
func TestDig(t *testing.T) {
	b := newBench(t, nettest.Program("dig", "bind9-dnsutils"))
	p := b.divert("true")
	for _, addr := range []netip.Addr{b.there.V4, b.there.V6} {
		serveDNS(t, b.there.NS, addr)
		for _, args := range [][]string{{"+notcp"}, {"+tcp"}} {
			for _, size := range []int{20, 1400, 3800} {
				args := append(args, "+short", "+ignore", "+tries=1", "+timeout=5", "@"+addr.String(), fmt.Sprintf("t%d.example", size), "TXT")
				out, err := b.here.NS.Run("dig", args...)
				if n := strings.Count(out, "x"); err != nil || n != size {
					t.Errorf("dig %v: %d bytes of %d, %v\n%.300s", args, n, size, err, out)
				}
			}
		}
	}
	p.endPassed(2 * (3*2 + 3*8))
	b.sound()
}
