package nfqdrv_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/nettest"
)

// Real programs notice nothing while every packet of theirs is diverted and passed.
func TestRealPrograms(t *testing.T) {
	nettest.Need(t, nettest.Program("curl", "curl"), nettest.Program("dig", "bind9-dnsutils"), nettest.Program("ping", "iputils-ping"),
		nettest.Program("iperf3", "iperf3"), nettest.Program("hping3", "hping3"))
	b := newBench(t)
	h := b.open("true", divertdrv.Options{})
	relay(t, h, nil)
	for name, f := range map[string]func(t *testing.T, b *bench, to netip.Addr){
		"curl": curl, "dig": dig, "ping": ping, "iperf3": iperf3,
	} {
		t.Run(name, func(t *testing.T) {
			f(t, b, b.there.V4)
			f(t, b, b.there.V6)
		})
	}
	t.Run("hping3", func(t *testing.T) { hping3(t, b, b.there.V4) })
	b.noBadChecksums()
	if st := h.Stats(); st.Received == 0 || st.Lost != 0 || st.DroppedTotal() != 0 {
		t.Errorf("%+v", st)
	}
}

// curl fetches 100 MB over TLS.
func curl(t *testing.T, b *bench, to netip.Addr) {
	const size = 100 << 20
	sum := sha256.New()
	_, _ = io.CopyN(sum, &pattern{}, size)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.CopyN(w, &pattern{}, size)
	}))
	_ = server.Listener.Close()
	b.there.NS.Do(func() {
		var err error
		if server.Listener, err = net.Listen("tcp", netip.AddrPortFrom(to, 0).String()); err != nil {
			t.Fatal(err)
		}
	})
	server.StartTLS()
	defer server.Close()
	file := filepath.Join(t.TempDir(), "file")
	b.here.NS.Command("curl", "--silent", "--show-error", "--insecure", "--output", file, server.URL)
	if got := b.here.NS.Command("sha256sum", file); !strings.HasPrefix(got, hexOf(sum.Sum(nil))) {
		t.Errorf("sha256 of what came over: %s", got)
	}
}

// pattern is blocks of bytes that are not the same, each with its number in front.
type pattern struct {
	block  [1 << 16]byte
	at     int
	number uint64
}

func (p *pattern) Read(b []byte) (n int, err error) {
	if p.at == 0 {
		if p.number == 0 {
			for i := range p.block {
				p.block[i] = byte(i * i >> 3)
			}
		}
		p.number++
		binary.BigEndian.PutUint64(p.block[:], p.number)
	}
	n = copy(b, p.block[p.at:])
	p.at = (p.at + n) % len(p.block)
	return n, nil
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

// dig asks a server that knows one address.
func dig(t *testing.T, b *bench, to netip.Addr) {
	var conn *net.UDPConn
	var err error
	b.there.NS.Do(func() { conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 53))) })
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for q := make([]byte, 1500); ; {
			n, from, err := conn.ReadFromUDPAddrPort(q)
			if err != nil {
				return
			}
			_, _ = conn.WriteToUDPAddrPort(answer(q[:n]), from)
		}
	}()
	if out := b.here.NS.Command("dig", "+short", "+noedns", "+tries=1", "@"+to.String(), "weir.test", "A"); strings.TrimSpace(out) != "192.0.2.7" {
		t.Errorf("dig says %q", out)
	}
	_ = conn.Close()
	<-over
}

// answer makes a question its answer (RFC 1035 4.1).
func answer(q []byte) []byte {
	a := bytes.Clone(q)
	a[2] |= 0x84 // response, authoritative
	binary.BigEndian.PutUint16(a[6:], 1)
	a = append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
	return append(a, 192, 0, 2, 7)
}

// ping sends what must be fragmented.
func ping(t *testing.T, b *bench, to netip.Addr) {
	if out := b.here.NS.Command("ping", "-c", "5", "-i", "0.05", "-W", "5", "-s", "4000", to.String()); !strings.Contains(out, " 0% packet loss") {
		t.Error(out)
	}
}

// iperf3 sends TCP as fast as it can, and UDP slowly enough to lose nothing.
func iperf3(t *testing.T, b *bench, to netip.Addr) {
	for _, args := range [][]string{{"-t", "1"}, {"-t", "1", "-R"}, {"-t", "1", "-u", "-b", "5M", "-l", "1200"}} {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		server := exec.CommandContext(ctx, "iperf3", "-s", "-1", "-B", to.String(), "-p", "5201")
		if err := b.there.NS.Start(server); err != nil {
			t.Fatal(err)
		}
		out := "connection refused"
		for until := time.Now().Add(10 * time.Second); strings.Contains(strings.ToLower(out), "refused") && time.Now().Before(until); {
			out, _ = b.here.NS.Run("iperf3", append([]string{"-J", "-c", to.String(), "-p", "5201"}, args...)...)
		}
		cancel()
		_ = server.Wait()
		var said struct {
			Error string
			End   struct {
				Sum struct {
					Bytes       float64 `json:"bytes"`
					LostPackets int     `json:"lost_packets"`
				} `json:"sum"`
				SumReceived struct {
					Bytes float64 `json:"bytes"`
				} `json:"sum_received"`
			}
		}
		if err := json.Unmarshal([]byte(out), &said); err != nil || said.Error != "" {
			t.Fatalf("iperf3 %v: %v, %s", args, err, said.Error)
		}
		if said.End.Sum.LostPackets != 0 || said.End.Sum.Bytes+said.End.SumReceived.Bytes == 0 {
			t.Errorf("iperf3 %v: %+v", args, said.End)
		}
	}
}

// hping3 sends packets that no stack would, of which each is answered.
func hping3(t *testing.T, b *bench, to netip.Addr) {
	for _, args := range [][]string{
		{"-S"},
		{"-S", "-F", "-P", "-U", "-X", "-Y"},
		{"-A", "-w", "0"},
		{"-S", "-d", "3000", "-f", "-m", "256"},
		{"-S", "-o", "ff", "-t", "3"},
		{"-1", "-d", "700"},
	} {
		out := b.here.NS.Command("hping3", append([]string{"-c", "3", "-i", "u20000", "-p", "81", to.String()}, args...)...)
		if !strings.Contains(out, "3 packets received") && !strings.Contains(out, "3 packets tramitted, 3 packets received") {
			t.Errorf("hping3 %v:\n%s", args, out)
		}
	}
}
