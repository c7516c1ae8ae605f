package livetest

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weirnet/weir/internal/daemon"
	"github.com/weirnet/weir/internal/nettest"
)

// patience bounds every wait for the program.
const patience = 30 * time.Second

// process is the program at work in a namespace.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  bytes.Buffer // to be read after end
	log  lines
	over chan error
}

// lines keeps what is written, and tells when a word first appears.
type lines struct {
	mu    sync.Mutex // guards all below
	text  strings.Builder
	word  string
	found chan struct{}
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	if l.word != "" && strings.Contains(l.text.String(), l.word) {
		close(l.found)
		l.word = ""
	}
	return len(b), nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start starts weir with these arguments and waits until its log has the word.
func start(t *testing.T, ns *nettest.Namespace, word string, args ...string) *process {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(path, args...), over: make(chan error, 1)}
	p.log.word, p.log.found = word, make(chan struct{})
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.log
	if err := ns.Start(p.cmd); err != nil {
		t.Fatal(err)
	}
	go func() { p.over <- p.cmd.Wait() }()
	t.Cleanup(p.kill)
	select {
	case <-p.log.found:
	case err := <-p.over:
		p.over <- err
		t.Fatalf("%s ended: %v\n%s", p.cmd, err, &p.log)
	case <-time.After(patience):
		t.Fatalf("%s did not say %q within %v:\n%s", p.cmd, word, patience, &p.log)
	}
	return p
}

// kill is kill -9. It may be called again.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	err := <-p.over
	p.over <- err
}

// signal asks the program to end, and wait waits until it has, for the exit status.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) wait() (status int) {
	p.t.Helper()
	select {
	case err := <-p.over:
		p.over <- err
	case <-time.After(patience):
		p.t.Fatalf("%s did not end within %v:\n%s", p.cmd, patience, &p.log)
	}
	return p.cmd.ProcessState.ExitCode()
}

// divert runs a policy or filter on the host of the bench.
func (b *bench) divert(policy string, args ...string) *process {
	b.t.Helper()
	return start(b.t, b.here.NS, "running", append([]string{"run", policy, "--driver", "nfqueue", "--json"}, args...)...)
}

// end ends a run by SIGTERM and returns its result, in which every packet is accounted for.
func (p *process) end() *daemon.Result {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	return p.result()
}

// result waits for the end of a run.
func (p *process) result() *daemon.Result {
	p.t.Helper()
	if status := p.wait(); status != 0 {
		p.t.Fatalf("status %d:\n%s", status, &p.log)
	}
	var r daemon.Result
	if err := json.Unmarshal(p.out.Bytes(), &r); err != nil {
		p.t.Fatalf("%v in %s", err, &p.out)
	}
	if err := r.Conserved(); err != nil {
		p.t.Error(err)
	}
	return &r
}

// endPassed is end of a run that diverted at least so many packets and passed all of them.
func (p *process) endPassed(atLeast uint64) {
	p.t.Helper()
	r := p.end()
	if r.Received < atLeast || r.Passed != r.Received || r.Lost != 0 {
		p.t.Errorf("want at least %d packets, all passed and none lost: %s; lost %d, dropped by %v", atLeast, r.Law(), r.Lost, r.DroppedBy)
	}
	p.t.Logf("%s; lost %d", r.Law(), r.Lost)
}
