// Package opengfw measures the program OpenGFW v0.4.1 in its capture mode: a process that reads a file, reassembles and analyses
// what it finds, and ends.
package opengfw

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/workload"
)

// Served is the peer of scenario capture. module is the folder of the module that the program is built from; "": one that is
// called OpenGFW is looked for in PATH.
func Served(module string) []bench.Served {
	return []bench.Served{{Scenario: "capture", Variant: bench.Variant{
		Name:  "OpenGFW",
		About: "v0.4.1, capture mode, one rule that never matches, all analyzers; its start is not counted",
		Start: func(ctx context.Context, env bench.Env) (bench.Trial, error) { return start(ctx, module, env) },
	}}}
}

// packets are more than others get: a process that starts is measured with what it does.
const packets = 50_000

// program is OpenGFW with its files.
type program struct {
	dir, path string
	rules     string
	config    string
	empty     spent // what a run costs that reads nothing
}

// spent is what a process took.
type spent struct{ cpu, user, system, wall time.Duration }

func start(ctx context.Context, module string, env bench.Env) (t bench.Trial, err error) {
	dir, err := os.MkdirTemp("", "weir-opengfw-")
	if err != nil {
		return t, err
	}
	p := &program{dir: dir, rules: filepath.Join(dir, "rules.yaml")}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if err := p.find(ctx, module); err != nil {
		return t, err
	}
	p.config = filepath.Join(dir, "config.yaml")
	rule := "- {name: none, action: block, expr: \"ip.dst == '192.0.2.1'\"}\n"
	err = errors.Join(os.WriteFile(p.rules, []byte(rule), 0o600), os.WriteFile(p.config, []byte("replay: {realtime: false}\n"), 0o600))
	if err != nil {
		return t, err
	}
	file, err := workload.NewCaptureOf(packets, env.Seed)
	if err != nil {
		return t, err
	}
	none, err := workload.NewCaptureOf(0, env.Seed)
	if err == nil {
		p.empty, err = p.run(ctx, none.Path)
		err = errors.Join(err, none.Close())
	}
	if err != nil {
		return t, errors.Join(bench.Unablef("%v", err), file.Close())
	}
	return bench.Trial{
		Run:   func(ctx context.Context, _ time.Duration) (bench.Sample, error) { return p.sample(ctx, file) },
		Close: func() error { return errors.Join(file.Close(), os.RemoveAll(dir)) },
	}, nil
}

// find builds the program, or finds it.
func (p *program) find(ctx context.Context, module string) error {
	if module == "" {
		path, err := exec.LookPath("OpenGFW")
		if err != nil {
			return bench.Unablef("there is no OpenGFW in PATH; --peers builds it")
		}
		p.path = path
		return nil
	}
	p.path = filepath.Join(p.dir, "OpenGFW.exe")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", p.path, "github.com/apernet/OpenGFW")
	cmd.Dir = module
	if out, err := cmd.CombinedOutput(); err != nil {
		return bench.Unablef("it cannot be built here: %v: %.200s", err, out)
	}
	return nil
}

func (p *program) run(ctx context.Context, capture string) (spent, error) {
	cmd := exec.CommandContext(ctx, p.path, "-l", "error", "-c", p.config, "-p", capture, p.rules)
	cmd.Dir = p.dir
	begin := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return spent{}, fmt.Errorf("OpenGFW: %w: %.300s", err, out)
	}
	user, system := cmd.ProcessState.UserTime(), cmd.ProcessState.SystemTime()
	return spent{user + system, user, system, time.Since(begin)}, nil
}

// sample is one run, without what a run of nothing costs; that has the second in it that the program sleeps at its end.
func (p *program) sample(ctx context.Context, file *workload.Capture) (bench.Sample, error) {
	s, err := p.run(ctx, file.Path)
	if err != nil {
		return bench.Sample{}, err
	}
	return bench.Sample{
		Ops: packets, Packets: packets, Bytes: file.Bytes,
		Elapsed: max(s.wall-p.empty.wall, 1), CPU: max(s.cpu-p.empty.cpu, 1),
		User: max(s.user-p.empty.user, 0), System: max(s.system-p.empty.system, 0),
	}, nil
}
