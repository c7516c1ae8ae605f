package livetest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirnet/weir/internal/control"
	"github.com/weirnet/weir/internal/nettest"
)

// Two policies that differ in filters, callouts and handles: the first takes everything, the second little. Both block port 9.
const (
	widePolicy = `version: 1
driver: {backend: nfqueue}
filters:
  - {name: no-9, layer: inbound-transport, when: "tcp.DstPort == 9", action: block}
  - {name: look, layer: inbound-transport, when: "tcp", action: callout, callout: seen}
callouts:
  - {name: seen, type: count}
`
	narrowPolicy = `version: 1
driver: {backend: nfqueue}
filters:
  - {name: no-9, layer: inbound-transport, when: "tcp.DstPort == 9", action: block}
  - {name: no-10, layer: outbound-transport, when: "udp.DstPort == 10", action: block}
`
	// higherPolicy has its handle at another place: it is opened beside the one before, and read after it.
	higherPolicy = widePolicy + "handles: [{layer: network, filter: \"true\", priority: 5}]\n"
	badPolicy    = "version: 1\nfilters: [{name: no-9, layer: inbound-transport, when: \"tcp.DstPrt == 9\", action: block}]\n"
)

const reloadsOfShow = 200

// The daemon is reloaded two hundred times, half of them with a policy that is refused, is stopped and started, killed and
// started, while connections and a transfer go through it: none fails but those that policy blocks, and of those every packet is
// in the metrics.
func TestConsole(t *testing.T) {
	b := newBench(t, nettest.Program("iperf3", "iperf3"), nettest.Program("nft", "nftables"))
	c := newConsole(b)
	d := c.start()
	transfer := c.transfer()
	load := c.connect()
	blocked := c.tryBlocked()

	applied, refused := c.reload(reloadsOfShow)
	blocked.end()
	if n := blocked.reached.Load(); n != 0 {
		t.Errorf("%d connections to the blocked port came through", n)
	}
	m := c.metrics()
	m.conserved(t)
	sent, counted := c.sentToBlocked(), uint64(m.sum("weir_filter_blocked_total", `filter="no-9"`))
	if sent == 0 || sent != counted {
		t.Errorf("%d packets sent to the blocked port, %d blocked in the metrics", sent, counted)
	}
	if lost := m.sum("weir_packets_lost_total"); lost != 0 {
		t.Errorf("%v packets lost", lost)
	}
	t.Logf("%d reloads, %d refused; %d connections, %d of %d packets blocked, %v received", applied, refused, load.made.Load(), counted, sent,
		m.sum("weir_packets_received_total"))
	if applied != reloadsOfShow/2 || refused != reloadsOfShow/2 {
		t.Errorf("%d reloads applied, %d refused", applied, refused)
	}

	r := d.end()
	if uint64(m.sum("weir_packets_received_total")) > r.Received || r.Lost != 0 {
		t.Errorf("metrics said %v received, the result says %s, lost %d", m.sum("weir_packets_received_total"), r.Law(), r.Lost)
	}
	for _, how := range []string{"stop", "kill", "stop"} {
		d = c.start()
		load.goesOn(200)
		if how == "kill" {
			d.kill()
			load.goesOn(200)
			continue
		}
		d.end()
	}
	load.end()
	transfer()
	if err := load.failures(); err != nil {
		t.Error(err)
	}
	t.Log(load)
	b.leftNothing()
}

// The same while the handle goes to another place and back, and while the daemon is paused and resumed.
func TestConsoleMoves(t *testing.T) {
	b := newBench(t, nettest.Program("iperf3", "iperf3"), nettest.Program("nft", "nftables"))
	c := newConsole(b)
	d := c.start()
	transfer := c.transfer()
	load := c.connect()
	for i := range 20 {
		load.goesOn(50)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		var err error
		switch i % 4 {
		case 0:
			c.write(higherPolicy)
			_, err = c.client.Reload(ctx)
		case 1:
			c.write(widePolicy)
			_, err = c.client.Reload(ctx)
		case 2:
			_, err = c.client.Pause(ctx)
		case 3:
			_, err = c.client.Resume(ctx)
		}
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if lost := c.metrics().sum("weir_packets_lost_total"); lost != 0 {
			t.Errorf("after step %d: %v packets lost", i, lost)
		}
	}
	load.end()
	transfer()
	if err := load.failures(); err != nil {
		t.Error(err)
	}
	m := c.metrics()
	m.conserved(t)
	r := d.end()
	t.Logf("%s; %s", load, r.Law())
	if r.Passed != r.Received || r.Lost != 0 {
		t.Errorf("%s; lost %d, dropped by %v", r.Law(), r.Lost, r.DroppedBy)
	}
	b.leftNothing()
}

// console is a daemon in a bench, and who asks it.
type console struct {
	*bench
	policy, socket string
	client         *control.Client
}

func newConsole(b *bench) *console {
	dir := b.t.TempDir()
	c := &console{bench: b, policy: filepath.Join(dir, "policy.yaml"), socket: filepath.Join(dir, "control.sock")}
	c.write(widePolicy)
	c.client = control.NewClient(control.Address{Path: c.socket})
	b.t.Cleanup(c.client.Close)
	b.there.NS.Command("nft", "add table inet witness; add chain inet witness out { type filter hook output priority 0; }; "+
		"add rule inet witness out tcp dport 9 counter")
	return c
}

// write replaces the policy in one step.
func (c *console) write(text string) {
	c.t.Helper()
	made := c.policy + ".new"
	if err := errors.Join(os.WriteFile(made, []byte(text), 0o600), os.Rename(made, c.policy)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *console) start(args ...string) *process {
	c.t.Helper()
	return start(c.t, c.here.NS, `"running"`, append([]string{"run", c.policy, "--json", "--log-format", "json", "--control", c.socket}, args...)...)
}

// reload reloads n times, every other time with a policy that is refused.
func (c *console) reload(n int) (applied, refused int) {
	c.t.Helper()
	for i := range n {
		c.write([]string{narrowPolicy, badPolicy, widePolicy, badPolicy}[i%4])
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, err := c.client.Reload(ctx)
		cancel()
		var e *control.Error
		switch {
		case err == nil:
			applied++
		case errors.As(err, &e) && e.Code == control.CodeRefused && len(e.Reload.Problems) == 1 && strings.Contains(e.Message, "tcp.DstPort"):
			refused++
		default:
			c.t.Fatalf("reload %d: %v", i, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.write(widePolicy)
	return applied, refused
}

// transfer begins a transfer to the host of the daemon; the function that it returns ends it, and asserts that it went well.
func (c *console) transfer() (end func()) {
	c.t.Helper()
	server := exec.Command("iperf3", "--server", "--one-off", "--forceflush")
	listens, err := server.StdoutPipe()
	if err == nil {
		err = c.here.NS.Start(server)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	lines := bufio.NewScanner(listens)
	for lines.Scan() && !strings.Contains(lines.Text(), "listening") {
	}
	var out strings.Builder
	client := exec.Command("iperf3", "--client", c.here.V4.String(), "--json", "--time", "7200", "--bitrate", "100M")
	client.Stdout = &out
	if err := c.there.NS.Start(client); err != nil {
		c.t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- client.Wait() }()
	c.t.Cleanup(func() {
		_ = client.Process.Kill()
		<-over
		close(over)
	})
	return func() {
		c.t.Helper()
		select {
		case err := <-over:
			over <- err
			c.t.Errorf("the transfer ended before it was to: %v\n%s", err, &out)
			return
		default:
		}
		_ = client.Process.Signal(syscall.SIGINT) // it sums up
		err := <-over
		over <- err
		var r iperf
		_ = json.Unmarshal([]byte(out.String()), &r)
		if r.End.Received.Bytes == 0 && !strings.Contains(out.String(), `"bytes"`) {
			c.t.Errorf("the transfer carried nothing: %v\n%s", err, &out)
		}
	}
}

// sentToBlocked is how many packets the other host sent to the blocked port.
func (c *console) sentToBlocked() uint64 {
	c.t.Helper()
	out := c.there.NS.Command("nft", "list", "chain", "inet", "witness", "out")
	found := regexp.MustCompile(`counter packets (\d+)`).FindStringSubmatch(out)
	if found == nil {
		c.t.Fatal(out)
	}
	n, _ := strconv.ParseUint(found[1], 10, 64)
	return n
}

// scraped is what a scrape said.
type scraped []string

func (c *console) metrics() scraped {
	c.t.Helper()
	rt := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", c.socket)
	}}
	defer rt.CloseIdleConnections()
	for until := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		answer, err := (&http.Client{Transport: rt, Timeout: patience}).Get("http://weir/metrics")
		if err != nil {
			c.t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		switch {
		case err == nil && answer.StatusCode == http.StatusOK:
			return strings.Split(string(text), "\n")
		case answer.StatusCode != http.StatusTooManyRequests || time.Now().After(until): // who floods took the answers of this second
			c.t.Fatalf("%v: %s\n%s", err, answer.Status, text)
		}
	}
}

// sum adds up a family, of series with these labels.
func (s scraped) sum(name string, labels ...string) (sum float64) {
	for _, line := range s {
		series, value, _ := strings.Cut(line, " ")
		if series != name && !strings.HasPrefix(series, name+"{") {
			continue
		}
		if i := strings.LastIndexByte(line, ' '); i >= 0 {
			series, value = line[:i], line[i+1:]
		}
		has := true
		for _, l := range labels {
			has = has && strings.Contains(series, l)
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil && has {
			sum += v
		}
	}
	return sum
}

// conserved asserts the law of conservation for every handle of a scrape, and for all of them.
func (s scraped) conserved(t *testing.T) {
	t.Helper()
	for _, of := range [][]string{nil, {`handle="0"`}} {
		in := s.sum("weir_packets_received_total", of...)
		passed, dropped := s.sum("weir_packets_passed_total", of...), s.sum("weir_packets_dropped_total", of...)
		held, batch := s.sum("weir_packets_held", of...), s.sum("weir_packets_in_batch", of...)
		if in == 0 || in != passed+dropped+held+batch {
			t.Errorf("%v: received %v, passed %v + dropped %v + held %v + in batch %v", of, in, passed, dropped, held, batch)
		}
		injected, completed, failed := s.sum("weir_packets_injected_total", of...), s.sum("weir_injections_completed_total", of...), s.sum("weir_injections_failed_total", of...)
		if injected != completed+failed {
			t.Errorf("%v: injected %v, completed %v + failed %v", of, injected, completed, failed)
		}
	}
}
