package livetest

import (
	"context"
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/weirnet/weir/internal/nettest"
)

// body is what the server sends, the same every time.
func body(bytes int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1, 2, 3}), bytes)
}

// serveTLS serves body(/N) over TLS and returns the port and a file with the certificate, which is of example.com.
func serveTLS(t *testing.T, at *nettest.Namespace, addr netip.Addr) (port int, certificate string) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseInt(r.URL.Path[1:], 10, 64)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(n))
		_, _ = io.Copy(w, body(n)) // a client that is gone has failed by itself
	}))
	_ = s.Listener.Close() // of this host
	var err error
	at.Do(func() { s.Listener, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0))) })
	if err != nil {
		t.Fatal(err)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	certificate = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(certificate, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return s.Listener.Addr().(*net.TCPAddr).Port, certificate
}

// curl over TLS gets every byte.
func TestCurl(t *testing.T) {
	b := newBench(t, nettest.Program("curl", "curl"))
	p := b.divert("true")
	for _, c := range []struct {
		addr  netip.Addr
		bytes int64
	}{{b.there.V4, 100e6}, {b.there.V6, 20e6}} {
		port, certificate := serveTLS(t, b.there.NS, c.addr)
		want := sha256.New()
		_, _ = io.Copy(want, body(c.bytes)) // neither fails
		got := sha256.New()
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		cmd := exec.CommandContext(ctx, "curl", "--silent", "--show-error", "--fail", "--cacert", certificate,
			"--resolve", fmt.Sprintf("example.com:%d:%v", port, c.addr), fmt.Sprintf("https://example.com:%d/%d", port, c.bytes))
		cmd.Stdout, cmd.Stderr = got, os.Stderr
		err := b.here.NS.Start(cmd)
		if err == nil {
			err = cmd.Wait()
		}
		cancel()
		if err != nil {
			t.Fatalf("%s: %v", cmd, err)
		}
		if fmt.Sprintf("%x", got.Sum(nil)) != fmt.Sprintf("%x", want.Sum(nil)) {
			t.Errorf("%v: SHA-256 %x, want %x", c.addr, got.Sum(nil), want.Sum(nil))
		}
	}
	p.endPassed(1000)
	b.sound()
}
