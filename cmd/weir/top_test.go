package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/weirnet/weir/internal/control"
)

// simulatedDaemon is a weir that runs made-up packets without end and listens on a socket, until the test is over.
func simulatedDaemon(t *testing.T) (socket string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("sockets and terminals are of Unix")
	}
	dir, err := os.MkdirTemp("", "weir") //nolint:usetesting // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket = filepath.Join(dir, "s")
	ctx, cancel := context.WithCancel(t.Context())
	policy := tempFile(t, "policy.yaml", starter)
	done := make(chan outcome, 1)
	go func() {
		var out, complaints strings.Builder
		status := execute(ctx, []string{"run", policy, "--packets", "0", "--control", socket}, streams{in: strings.NewReader(""), out: &out, err: &complaints})
		done <- outcome{out.String(), complaints.String(), status}
	}()
	t.Cleanup(func() {
		cancel()
		if o := <-done; o.status != exitDone {
			t.Errorf("the daemon ended with %+v", o)
		}
	})
	until(t, "the daemon answers", func() bool {
		client := control.NewClient(control.Address{Path: socket})
		defer client.Close()
		s, err := client.Status(ctx)
		return err == nil && s.State == control.Running
	})
	return socket
}

// until waits for something that happens soon on a machine with nothing else to do.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// One screen of a daemon at work, by the true API: as many lines as asked for, and rates that are not nothing.
func TestTopOnce(t *testing.T) {
	socket := simulatedDaemon(t)
	for size, lines := range map[string]int{"80x24": 24, "160x50": 50} {
		o := weir(t, "", "top", "--control", socket, "--once", "--interval", "200ms", "--size", size)
		if o.status != exitDone || strings.Count(o.out, "\n") != lines {
			t.Fatalf("%+v", o)
		}
		for _, want := range []string{"weir running", "policy.yaml", "drops by cause", "no-telnet", "4 filters by matched/s", "flows by bytes/s", "q end"} {
			if !strings.Contains(o.out, want) {
				t.Errorf("%s lacks %q:\n%s", size, want, o.out)
			}
		}
		if strings.Contains(o.out, "received           0/s") {
			t.Errorf("nothing was received:\n%s", o.out)
		}
	}
}

func TestTopRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"--once --size 80":               "want WIDTHxHEIGHT",
		"--once --interval 1ms":          "want 100ms or more",
		"":                               "this is no terminal; --once prints one screen",
		"--once --control /nothing/sock": "is weir running?",
	} {
		o := weir(t, "", append([]string{"top"}, strings.Fields(args)...)...)
		if o.status == exitDone || o.out != "" || !strings.Contains(o.err, want) {
			t.Errorf("%s: %+v", args, o)
		}
	}
}

// In a terminal, at two sizes, while packets come: the screen is drawn, keys do what they say, and q ends it with status 0.
func TestTopInTerminal(t *testing.T) {
	tmux, err := exec.LookPath("tmux")
	if err != nil {
		required(t, "tmux is the terminal: %v; install Debian's package tmux", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	socket := simulatedDaemon(t)
	for _, size := range [][2]int{{80, 24}, {160, 50}} {
		// A server of its own: one whose last session has ended is about to end, and may take a new session with it.
		server := filepath.Join(filepath.Dir(socket), fmt.Sprintf("t%d", size[0]))
		run := func(args ...string) string {
			cmd := exec.Command(tmux, append([]string{"-u", "-S", server, "-f", "/dev/null"}, args...)...)
			cmd.Env = append(os.Environ(), asProgram+"=1", "TERM=xterm-256color", "LC_ALL=C.UTF-8")
			out, _ := cmd.CombinedOutput()
			return string(out)
		}
		defer run("kill-server")
		name := fmt.Sprintf("s%d", size[0])
		end := filepath.Join(filepath.Dir(socket), name)
		run("new-session", "-d", "-s", name, "-x", fmt.Sprint(size[0]), "-y", fmt.Sprint(size[1]),
			fmt.Sprintf("%s top --control %s --interval 200ms; echo $? > %s", self, socket, end))
		shows := func(what string, is func(screen string) bool) {
			t.Helper()
			last := ""
			defer func() {
				if t.Failed() {
					t.Log(last)
				}
			}()
			until(t, fmt.Sprintf("%v shows %s", size, what), func() bool {
				last = run("capture-pane", "-p", "-t", name)
				return is(last)
			})
		}
		shows("rates", func(s string) bool {
			return strings.Contains(s, "weir running") && strings.Contains(s, "no-telnet") && strings.ContainsAny(s, "▁▂▃▄▅▆▇█") && strings.Contains(s, "›")
		})
		run("send-keys", "-t", name, "?")
		shows("help", func(s string) bool { return strings.Contains(s, "to the other table") })
		run("send-keys", "-t", name, "q", "Tab", "s")
		shows("another order", func(s string) bool { return strings.Contains(s, "filters by blocked/s") })
		run("send-keys", "-t", name, "Enter")
		shows("a filter", func(s string) bool { return strings.Contains(s, "sublayer") && strings.Contains(s, "esc back") })
		run("send-keys", "-t", name, "q", "q")
		until(t, "it ends", func() bool { _, err := os.Stat(end); return err == nil })
		if b, err := os.ReadFile(end); err != nil || strings.TrimSpace(string(b)) != "0" {
			t.Errorf("status %q, %v", b, err)
		}
	}
}
