package nfqueue

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netns"
)

// What a program says when packets may come.
const readyLine = "ready"

// How long a program may take to be ready, and to end after SIGTERM.
const (
	readyLimit = 20 * time.Second
	endLimit   = 10 * time.Second
)

// Tally is what a program counted itself, the last line that it says.
type Tally struct {
	Received uint64            `json:"received"`
	Passed   uint64            `json:"passed"`
	Lost     map[string]uint64 `json:"lost,omitempty"` // lost or dropped by the program, by cause
	// Broken says that the program's own books do not agree.
	Broken string `json:"broken,omitempty"`
}

// program is a program under test that runs in the router. It says "ready" in a line when it diverts (or has bound its queue), ends on
// SIGTERM, and then may say its Tally. When this process dies the kernel kills it.
type program struct {
	cmd   *exec.Cmd
	tally Tally
	over  chan struct{} // closed when all output was read
	says  said
}

// start starts it and waits until it is ready. Namespace and processor are those of the calling thread but for ns.
func start(ctx context.Context, ns int, argv []string) (*program, error) {
	p := &program{cmd: exec.Command(argv[0], argv[1:]...), over: make(chan struct{})}
	p.cmd.Stderr = &p.says
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true} // a terminal's Ctrl-C is ours to pass on
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := netns.Do(ns, p.cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	ready := make(chan bool, 1)
	go p.read(out, ready)
	select {
	case ok := <-ready:
		if ok {
			return p, nil
		}
		err = errors.New("it ended")
	case <-time.After(readyLimit):
		err = fmt.Errorf("it was not ready after %v", readyLimit)
	case <-ctx.Done():
		err = ctx.Err()
	}
	_ = p.cmd.Process.Kill()
	return nil, p.failed(errors.Join(err, p.wait()))
}

// read reads what it says.
func (p *program) read(out io.Reader, ready chan<- bool) {
	defer close(p.over)
	defer close(ready)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := bytes.TrimSpace(lines.Bytes())
		switch {
		case string(line) == readyLine:
			select {
			case ready <- true:
			default:
			}
		case bytes.HasPrefix(line, []byte("{")):
			if err := json.Unmarshal(line, &p.tally); err != nil {
				_, _ = fmt.Fprintf(&p.says, "a tally that cannot be read: %v\n", err)
			}
		default:
			_, _ = p.says.Write(append(line, '\n'))
		}
	}
}

func (p *program) pid() int { return p.cmd.Process.Pid }

// stop ends it and returns what it counted.
func (p *program) stop() (Tally, error) {
	_ = p.cmd.Process.Signal(unix.SIGTERM) // it may have ended
	late := time.AfterFunc(endLimit, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	if err := p.wait(); err != nil {
		return p.tally, p.failed(err)
	}
	if p.tally.Broken != "" {
		return p.tally, p.failed(errors.New(p.tally.Broken))
	}
	return p.tally, nil
}

func (p *program) wait() error {
	<-p.over
	return p.cmd.Wait()
}

// failed says what the program said.
func (p *program) failed(err error) error {
	if text := p.says.text(); text != "" {
		err = fmt.Errorf("%w; it said: %s", err, text)
	}
	return fmt.Errorf("%s: %w", strings.Join(p.cmd.Args, " "), err)
}

// said keeps the end of what a program says.
type said struct {
	mu  sync.Mutex // guards end: two goroutines write
	end []byte
}

const saidMax = 4096

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end = append(s.end, b...)
	s.end = s.end[max(0, len(s.end)-saidMax):]
	return len(b), nil
}

func (s *said) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.TrimSpace(string(s.end))
}

// self is the command that becomes a program of ours.
func self() (string, error) { return os.Executable() }
