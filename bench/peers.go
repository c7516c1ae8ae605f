package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"sync"
	"time"
)

// Peers is a running program of peers, see Serve. Its methods may be called by one goroutine at a time.
type Peers struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	lines  *bufio.Scanner
	stderr tail
	offers []offered
}

// StartPeers runs the program and asks what it has. Close ends it, as does the end of ctx.
func StartPeers(ctx context.Context, path string, args ...string) (*Peers, error) {
	p := &Peers{cmd: exec.CommandContext(ctx, path, args...)}
	p.cmd.Stderr = &p.stderr
	p.cmd.WaitDelay = 5 * time.Second
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("the program of peers: %w", err)
	}
	p.in, p.lines = in, bufio.NewScanner(out)
	p.lines.Buffer(nil, lineMax)
	a, err := p.ask(&request{Do: "hello"})
	if err == nil && a.Version != protocolVersion {
		err = fmt.Errorf("it speaks version %d of the protocol, this program %d: build both from one checkout", a.Version, protocolVersion)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the program of peers %s: %w", path, err), p.Close())
	}
	p.offers = a.Variants
	return p, nil
}

// Close ends the program.
func (p *Peers) Close() error {
	err := p.in.Close()
	wait := p.cmd.Wait()
	if wait != nil {
		wait = fmt.Errorf("the program of peers: %w", wait)
	}
	return errors.Join(err, wait)
}

// Attach adds to every case of the scenario what the program has for it.
func (p *Peers) Attach(s *Scenario) {
	procs := s.Settings.Procs
	for _, o := range p.offers {
		if o.Scenario != s.Name {
			continue
		}
		for i := range s.Cases {
			c := &s.Cases[i]
			c.Variants = append(slices.Clip(c.Variants), Variant{
				Name: o.Name, Peer: true, About: o.About,
				Start: func(_ context.Context, env Env) (Trial, error) { return p.start(o, env, procs) },
			})
		}
	}
}

func (p *Peers) start(o offered, env Env, procs int) (Trial, error) {
	a, err := p.ask(&request{Do: "start", Scenario: o.Scenario, Variant: o.Name, Params: env.Params, Seed: env.Seed})
	if err != nil {
		return Trial{}, err
	}
	if a.Unable != "" {
		return Trial{}, &Unable{a.Unable}
	}
	return Trial{
		Digest:    a.Digest,
		elsewhere: true,
		Run: func(_ context.Context, d time.Duration) (Sample, error) {
			got, err := p.ask(&request{Do: "run", ID: a.ID, Time: d, Procs: procs})
			if err != nil || got.Sample == nil {
				return Sample{}, errors.Join(err, missing(got.Sample))
			}
			return *got.Sample, nil
		},
		Close: func() error {
			_, err := p.ask(&request{Do: "close", ID: a.ID})
			return err
		},
	}, nil
}

func missing(s *Sample) error {
	if s == nil {
		return errors.New("no sample came")
	}
	return nil
}

// ask sends a line and waits for the answer.
func (p *Peers) ask(q *request) (answer, error) {
	line, err := json.Marshal(q)
	if err != nil {
		return answer{}, err
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return answer{}, p.gone(err)
	}
	if !p.lines.Scan() {
		return answer{}, p.gone(p.lines.Err())
	}
	var a answer
	if err := json.Unmarshal(p.lines.Bytes(), &a); err != nil {
		return a, fmt.Errorf("an answer of peers that cannot be read: %w: %.100q", err, p.lines.Bytes())
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

func (p *Peers) gone(err error) error {
	return errors.Join(errPeersGone, err, p.stderr.err())
}

// tail keeps the end of what a program complains of.
type tail struct {
	mu  sync.Mutex // guards the buffer: a goroutine of exec writes it
	end []byte
}

const tailMax = 4096

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, b...)
	t.end = t.end[max(0, len(t.end)-tailMax):]
	return len(b), nil
}

func (t *tail) err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := bytes.TrimSpace(t.end); len(text) > 0 {
		return fmt.Errorf("it said: %s", text)
	}
	return nil
}
