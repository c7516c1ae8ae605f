package livetest

import (
	"encoding/json"
	"os/exec"
	"testing"
	"time"

	"github.com/weirnet/weir/internal/nettest"
)

// iperf is what `iperf3 --json` says of a transfer.
type iperf struct {
	Error string
	End   struct {
		Received struct {
			Bytes int64
		} `json:"sum_received"`
		Sum struct { // of UDP
			Packets int64
			Lost    int64 `json:"lost_packets"`
		}
	}
}

// iperf3 serves at the other host and runs the client here. The client is tried again until the server listens.
func (b *bench) iperf3(args ...string) (r iperf) {
	b.t.Helper()
	server := exec.Command("iperf3", "--server", "--one-off")
	if err := b.there.NS.Start(server); err != nil {
		b.t.Fatal(err)
	}
	defer func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}()
	args = append([]string{"--client", b.there.V4.String(), "--json", "--time", "2"}, args...)
	for until := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		out, err := b.here.NS.Run("iperf3", args...)
		r = iperf{}
		if bad := json.Unmarshal([]byte(out), &r); bad != nil {
			b.t.Fatalf("iperf3 %v: %v, %v\n%s", args, err, bad, out)
		}
		if err == nil && r.Error == "" {
			return r
		}
		if time.Now().After(until) {
			b.t.Fatalf("iperf3 %v: %v", args, err)
		}
	}
}

func TestIperf3TCP(t *testing.T) {
	b := newBench(t, nettest.Program("iperf3", "iperf3"))
	p := b.divert("true")
	for _, args := range [][]string{nil, {"--reverse"}} {
		r := b.iperf3(args...)
		if r.End.Received.Bytes < 1e6 {
			t.Errorf("%v: %d bytes", args, r.End.Received.Bytes)
		}
		t.Logf("%v: %.2f Gbit/s", args, float64(r.End.Received.Bytes)*8/2e9)
	}
	p.endPassed(1000)
	b.sound()
}

// What of iperf3's datagrams does not arrive was lost by the socket of the receiver, which the kernel counts, and nowhere else.
func TestIperf3UDP(t *testing.T) {
	b := newBench(t, nettest.Program("iperf3", "iperf3"))
	p := b.divert("true")
	r := b.iperf3("--udp", "--bitrate", "50M", "--length", "1200")
	full := b.there.NS.Counters()["Udp.RcvbufErrors"]
	if r.End.Sum.Packets < 5000 || r.End.Sum.Lost > full {
		t.Errorf("%d packets, %d lost, of which %d by the receiver's socket", r.End.Sum.Packets, r.End.Sum.Lost, full)
	}
	t.Logf("%d packets, %d lost, %d by the receiver's socket", r.End.Sum.Packets, r.End.Sum.Lost, full)
	p.endPassed(uint64(r.End.Sum.Packets))
	b.sound()
}
