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
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netns"
)

// What a program says when packets may come, if nothing else is known of it.
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

// program is a program under test that runs in the router. It says in a line when it diverts (or has bound its queue), ends on
// SIGTERM, and then may say its Tally. When this process dies the kernel kills it.
type program struct {
	cmd   *exec.Cmd
	ready string
	began chan struct{} // closed when it said so
	tally Tally
	over  chan struct{} // closed when all output was read
	says  []byte        // to be read when over is closed
}

// start starts it and waits until it is ready. It inherits the processor of the calling thread.
func (c *contestant) start(ctx context.Context, ns int) (*program, error) {
	p := &program{cmd: exec.Command(c.argv[0], c.argv[1:]...), ready: c.ready, began: make(chan struct{}), over: make(chan struct{})}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true} // a terminal's Ctrl-C is ours to pass on
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = in, in
	err = netns.Do(ns, p.cmd.Start)
	_ = in.Close() // the program has it
	if err != nil {
		_ = out.Close()
		return nil, fmt.Errorf("start %s: %w", c.argv[0], err)
	}
	go p.read(out)
	if err := p.await(ctx, c.settle); err != nil {
		_ = p.cmd.Process.Kill()
		_ = p.wait() // it says less than err
		return nil, p.failed(err)
	}
	return p, nil
}

// await waits until it is ready, and then whether it still runs after some time.
func (p *program) await(ctx context.Context, settle time.Duration) error {
	late := time.After(readyLimit)
	for began, settled := p.began, (<-chan time.Time)(nil); ; {
		select {
		case <-began:
			began, settled = nil, time.After(settle)
		case <-settled:
			return nil
		case <-p.over:
			return errors.New("it ended")
		case <-late:
			return fmt.Errorf("it was not ready after %v", readyLimit)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// read reads what it says.
func (p *program) read(out io.ReadCloser) {
	defer close(p.over)
	defer out.Close()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := bytes.TrimSpace(lines.Bytes())
		if bytes.Contains(line, []byte(p.ready)) && !p.hasBegun() {
			close(p.began)
			continue
		}
		if !bytes.HasPrefix(line, []byte("{")) || json.Unmarshal(line, &p.tally) != nil {
			p.says = append(append(p.says, line...), '\n')
			p.says = p.says[max(0, len(p.says)-saidMax):]
		}
	}
}

func (p *program) hasBegun() bool {
	select {
	case <-p.began:
		return true
	default:
		return false
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

// failed adds what the program said; it has ended.
func (p *program) failed(err error) error {
	if text := strings.TrimSpace(colours.ReplaceAllString(string(p.says), "")); text != "" {
		err = fmt.Errorf("%w; it said: %s", err, text)
	}
	return fmt.Errorf("%s: %w", filepath.Base(p.cmd.Path), err)
}

// colours are what programs write for terminals.
var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// saidMax is how much is kept of what a program says, in bytes: the end of it.
const saidMax = 4096
