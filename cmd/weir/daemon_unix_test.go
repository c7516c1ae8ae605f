//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirnet/weir/internal/control"
)

const daemonPolicy = `version: 1
filters:
  - {name: dns, layer: outbound-transport, when: "udp.DstPort == 53", action: block}
  - {name: rest, layer: outbound-transport, when: "tcp or udp", action: permit}
`

// daemonAt starts a daemon over the simulator, and returns how the commands are told of it.
func daemonAt(t *testing.T, args ...string) (policy, flag string, stop func()) {
	t.Helper()
	policy = tempFile(t, "policy.yaml", daemonPolicy)
	socket := filepath.Join(t.TempDir(), "s")
	cmd, out, log := program(t, append([]string{"run", policy, "--driver", "sim", "--packets", "0", "--json", "--control", socket}, args...)...)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for log.Scan() { // so that it does not wait for us
		}
	}()
	return policy, "--control=" + socket, func() {
		t.Helper()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v", err)
		}
		decode(t, out.String())
		if _, err := os.Stat(socket); err == nil {
			t.Error("the socket is left")
		}
	}
}

// says runs a command and asserts its status and what it says.
func says(t *testing.T, status int, words []string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // trace waits for packets
	defer cancel()
	var out, complaints bytes.Buffer
	o := outcome{status: execute(ctx, args, streams{in: strings.NewReader(""), out: &out, err: &complaints})}
	o.out, o.err = out.String(), complaints.String()
	if o.status != status {
		t.Fatalf("%v: status %d, want %d: %s%s", args, o.status, status, o.out, o.err)
	}
	for _, w := range words {
		if !strings.Contains(o.out+o.err, w) {
			t.Errorf("%v: %q is not in\n%s%s", args, w, o.out, o.err)
		}
	}
	return o
}

// Every command that talks to a daemon, once in words and once in JSON.
func TestDaemonCommands(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	policy, at, stop := daemonAt(t, "--pidfile", pid)
	says(t, exitDone, []string{"running for", "2 filters", "sim, open", "0 applied, 0 refused", "handle 0"}, "status", at)
	var s statusAnswer
	if err := json.Unmarshal([]byte(says(t, exitDone, nil, "status", at, "--json").out), &s); err != nil || s.Status.State != control.Running {
		t.Errorf("%v, %+v", err, s.Status)
	}
	for until := time.Now().Add(time.Minute); s.Stats.Flows.Now < 10 && time.Now().Before(until); {
		if err := json.Unmarshal([]byte(says(t, exitDone, nil, "status", at, "--json").out), &s); err != nil {
			t.Fatal(err)
		}
	}
	says(t, exitDone, []string{"proto", "udp", "3 of "}, "flows", at, "udp", "--limit", "3")
	says(t, exitDone, []string{`"flows": [`}, "flows", at, "--json", "--sort", "age")
	says(t, exitDone, []string{"verdict: drop (filter)", `filter "dns"`}, "trace", at, "udp.DstPort == 53", "-n", "2")
	says(t, exitDone, []string{`drop (filter): filter "dns" at outbound-transport`}, "trace", at, "--verdict", "drop", "--brief", "-n", "1")
	says(t, exitDone, []string{`"verdict":"pass"`}, "trace", at, "--verdict", "pass", "--json", "-n", "1")
	capture := filepath.Join(t.TempDir(), "x.pcapng")
	says(t, exitDone, nil, "trace", at, "udp.DstPort == 53", "-w", capture, "-n", "4")
	if got := ours(t, capture, "udp.DstPort == 53"); got != 4 {
		t.Errorf("%d packets recorded, want 4", got)
	}
	says(t, exitDone, []string{"no filter changed", "0 handles changed, 1 kept"}, "reload", at)
	if err := os.WriteFile(policy, []byte(strings.Replace(daemonPolicy, "name: dns", "name: names", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	says(t, exitDone, []string{"+ filter names", "- filter dns"}, "reload", at)
	if err := os.WriteFile(policy, []byte(strings.Replace(daemonPolicy, "udp.DstPort", "udp.DstPrt", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	says(t, exitUsage, []string{"the policy in force stays", ":3:", "udp.DstPrt"}, "reload", at)
	says(t, exitUsage, []string{`"applied": false`, `"line": 3`}, "reload", at, "--json")
	says(t, exitDone, []string{"2 applied, 2 refused; the last one was refused"}, "status", at)
	says(t, exitDone, []string{"verdict  info"}, "log-level", at)
	says(t, exitDone, []string{"verdict  warn"}, "log-level", at, "verdict=warn")
	says(t, exitDone, []string{`"reload": "error"`}, "log-level", at, "error", "--json")
	says(t, exitUsage, []string{"want one of debug"}, "log-level", at, "loud")
	says(t, exitFailed, []string{"cannot be paused"}, "pause", at)
	says(t, exitDone, []string{"running"}, "resume", at)
	if _, err := os.Stat(pid); err != nil {
		t.Error(err)
	}
	stop()
	if _, err := os.Stat(pid); err == nil {
		t.Error("the PID file is left")
	}
	says(t, exitFailed, []string{"no daemon answers", "is weir running?"}, "status", at)
}

// Wrong usage of the commands says what is right.
func TestDaemonUsage(t *testing.T) {
	policy := tempFile(t, "policy.yaml", daemonPolicy)
	for _, c := range []struct {
		want string
		args []string
	}{
		{"want the path of a socket", []string{"status", "--control", "tcp://x"}},
		{"want 1 to", []string{"flows", "--limit", "0"}},
		{"want one of bytes", []string{"flows", "--sort", "beauty"}},
		{"one argument too many", []string{"trace", "tcp", "udp"}},
		{"go together", []string{"run", policy, "--driver", "sim", "--control-tcp", "127.0.0.1:0"}},
		{"token:", []string{"run", policy, "--driver", "sim", "--control-tcp", "127.0.0.1:0", "--token-file", "none"}},
		{"no policy file to watch", []string{"run", "true", "--driver", "sim", "--watch"}},
		{"want a time of more than 0", []string{"run", "true", "--drain", "0s"}},
		{"unknown log component", []string{"run", "true", "--log-level", "wind=info"}},
	} {
		says(t, exitUsage, []string{c.want}, c.args...)
	}
	says(t, exitFailed, []string{"want 127.0.0.1:PORT"}, "run", policy, "--driver", "sim", "--control", "none", "--metrics", "here")
}

// SIGHUP has the policy read again, and what is refused is told in the log.
func TestHangupReloads(t *testing.T) {
	policy := tempFile(t, "policy.yaml", daemonPolicy)
	cmd, _, log := program(t, "run", policy, "--driver", "sim", "--packets", "0", "--json", "--control", "none", "--pidfile", filepath.Join(t.TempDir(), "pid"))
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await(t, log, "reload-unchanged")
	if err := os.WriteFile(policy, []byte("version: 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Signal(syscall.SIGHUP)
	await(t, log, "reload-refused")
	_ = cmd.Process.Signal(syscall.SIGTERM)
	await(t, log, "stopped")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// When what waits cannot be worked off in time, the program ends with a status of its own. Here it cannot, since nobody reads the
// named pipe that is written to.
func TestDrainOverrun(t *testing.T) {
	full, name := fifo(t)
	if err := fill(full); err != nil {
		t.Fatal(err)
	}
	cmd, _, log := program(t, "run", "true", "-r", captures+"iperf3.pcap", "-w", name, "--drain", "100ms")
	_ = cmd.Process.Signal(syscall.SIGTERM)
	await(t, log, "drain-overrun")
	_ = cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != exitOverrun {
		t.Errorf("status %d, want %d", status, exitOverrun)
	}
}
