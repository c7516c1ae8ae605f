package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/internal/control"
	"github.com/weirnet/weir/processor/callouts"
	"github.com/weirnet/weir/processor/policy"
)

// patience bounds every wait.
const patience = 30 * time.Second

// world is a session over the simulator, with a policy file that can be loaded again.
type world struct {
	t       *testing.T
	path    string
	kept    *Callouts
	s       *Session
	logged  *observer.ObservedLogs
	edit    func(*Plan)   // what else is different from the file; nil: nothing
	hold    chan struct{} // closed to let it run; nil: it runs at once
	over    chan struct{}
	result  *Result
	failure error
	end     context.CancelFunc
}

const startPolicy = `version: 1
filters:
  - {name: dns, layer: outbound-transport, when: "udp.DstPort == 53", action: block}
  - {name: look, layer: outbound-transport, when: "udp", action: callout, callout: seen}
callouts:
  - {name: seen, type: count}
`

// newWorld starts one with endless traffic.
func newWorld(t *testing.T, text string) *world {
	t.Helper()
	w := &world{t: t, path: filepath.Join(t.TempDir(), "policy.yaml"), kept: KeepCallouts(callouts.Factories()), over: make(chan struct{})}
	w.write(text)
	return w
}

func (w *world) write(text string) {
	w.t.Helper()
	if err := os.WriteFile(w.path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) load() (*Plan, error) {
	factories, applied := w.kept.Load()
	file, err := policy.Load(w.path, policy.Options{Factories: factories})
	if err != nil {
		return nil, err
	}
	spare, err := policy.Load(w.path, policy.Options{Factories: callouts.Factories()})
	if err != nil {
		return nil, err
	}
	p := &Plan{
		Driver: Driver{Backend: Sim, Seed: 1}, Handles: file.Handles, Policy: file.Policy, Rules: file.Rules,
		Path: w.path, Files: []string{w.path}, Spare: spare.Policy, Reload: w.load, InForce: applied,
	}
	if w.edit != nil {
		w.edit(p)
	}
	return p, nil
}

// start runs it until the test ends.
func (w *world) start() *world {
	w.t.Helper()
	plan, err := w.load()
	if err != nil {
		w.t.Fatal(err)
	}
	core, logged := observer.New(zapcore.DebugLevel)
	levels, err := ParseLevels("debug,verdict=info")
	if err != nil {
		w.t.Fatal(err)
	}
	w.logged = logged
	if w.s, err = Open(*plan, Log{zap.New(core), levels}); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.end = cancel
	go func() {
		defer close(w.over)
		if w.hold != nil {
			<-w.hold
		}
		w.result, w.failure = w.s.Run(ctx)
	}()
	w.t.Cleanup(w.stop)
	return w
}

// stop ends it, and asserts that it went well and that no packet is unaccounted for. It may be called again.
func (w *world) stop() {
	w.end()
	<-w.over
	if w.failure != nil {
		w.t.Errorf("the run: %v", w.failure)
	}
	if w.result != nil && w.result.Lost != 0 {
		w.t.Errorf("%d packets lost: %v", w.result.Lost, w.result.LostBy)
	}
}

func (w *world) reload() control.ReloadResult {
	w.t.Helper()
	x, err := w.s.Reload(w.t.Context(), ByControl)
	if err != nil {
		w.t.Fatal(err)
	}
	return x
}

// await waits until something is true.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func (w *world) count(e event) int {
	return w.logged.FilterField(zap.String(keyCode, e.code)).Len()
}

// A reload takes up what is in the file, tells what changed, and keeps what did not: counts, and callouts with theirs.
func TestReload(t *testing.T) {
	w := newWorld(t, startPolicy).start()
	seen := func() uint64 {
		for _, c := range w.s.ControlStats().Callouts {
			if c.Name == "seen" {
				return c.Counters["outbound_udp_packets"]
			}
		}
		return 0
	}
	await(t, "packets", func() bool { return seen() > 1000 })
	before := seen()
	w.write(strings.ReplaceAll(startPolicy, `== 53", action: block}`, `== 54", action: block}
  - {name: more, layer: inbound-transport, when: "tcp", action: permit}`))
	x := w.reload()
	if !x.Applied || fmt.Sprint(x.Added, x.Removed, x.Changed) != "[more] [] [dns]" || x.HandlesKept != 1 || x.HandlesOpened != 0 || x.FlowsToAsk == 0 {
		t.Errorf("%+v", x)
	}
	if after := seen(); after < before {
		t.Errorf("the callout counted %d, and then %d", before, after)
	}
	if x = w.reload(); !x.Applied || len(x.Added)+len(x.Removed)+len(x.Changed) != 0 {
		t.Errorf("the same again: %+v", x)
	}
	w.stop()
	if w.count(evReloadApplied) != 1 || w.count(evReloadUnchanged) != 1 {
		t.Errorf("logged %v", w.logged.All())
	}
}

// A set file is read again by each reload, and a filter whose set holds something else has changed.
func TestReloadOfASet(t *testing.T) {
	w := newWorld(t, "version: 1\nsets: [{name: names, file: names.txt}]\nfilters:\n"+
		"  - {name: dns, layer: outbound-transport, conditions: [{field: ip-remote-port, set: names}], action: block}\n")
	list := filepath.Join(filepath.Dir(w.path), "names.txt")
	write := func(text string) {
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("53\n")
	w.start()
	write("5353\n53")
	if x := w.reload(); !x.Applied || fmt.Sprint(x.Changed) != "[dns]" {
		t.Errorf("%+v", x)
	}
	write("53\n5353\n")
	if x := w.reload(); !x.Applied || len(x.Changed) != 0 {
		t.Errorf("the same in another order: %+v", x)
	}
	write("here\n")
	if x := w.reload(); x.Applied || len(x.Problems) != 1 || x.Problems[0].File != list || x.Problems[0].Line != 1 {
		t.Errorf("%+v", x)
	}
	w.stop()
}

// What is wrong changes nothing, and says why: a file with mistakes, and what needs a restart.
func TestReloadRefused(t *testing.T) {
	w := newWorld(t, startPolicy).start()
	before := w.s.plan.Load()
	for name, c := range map[string]struct {
		text, want string
		edit       func(*Plan)
	}{
		"mistake":  {text: strings.Replace(startPolicy, "udp.DstPort", "udp.DstPrt", 1), want: "udp.DstPrt"},
		"no yaml":  {text: "version: [", want: `"["`},
		"gone":     {want: "policy.yaml"},
		"backend":  {text: startPolicy, want: "driver: backend", edit: func(p *Plan) { p.Driver.Backend = Pcap }},
		"write":    {text: startPolicy, want: "driver: write", edit: func(p *Plan) { p.Driver.Out = "x.pcapng" }},
		"two":      {text: startPolicy, want: "driver: packets, driver: seed", edit: func(p *Plan) { p.Driver.Packets, p.Driver.Seed = 1, 2 }},
		"rules":    {text: startPolicy, want: "rules", edit: func(p *Plan) { p.Rules.TimeBudget++ }},
		"handles":  {text: startPolicy, want: "more handles", edit: func(p *Plan) { p.Handles = manyHandles(t, 1+spareNetwork+1) }},
		"tap file": {text: strings.Replace(startPolicy, "type: count", "type: tap, config: {write: none/x.pcapng}", 1), want: "none"},
	} {
		w.edit = c.edit
		if w.write(c.text); c.text == "" {
			_ = os.Remove(w.path)
		}
		x := w.reload()
		if x.Applied || !strings.Contains(x.Error, c.want) {
			t.Errorf("%s: %+v", name, x)
		}
		if (name == "mistake") != (len(x.Problems) == 1 && x.Problems[0].Line == 3) && name != "no yaml" {
			t.Errorf("%s: problems %+v", name, x.Problems)
		}
		if w.s.plan.Load() != before {
			t.Errorf("%s: the plan is another", name)
		}
	}
	r := w.s.reloads.get()
	if r.Applied != 0 || r.Refused != 9 || w.count(evReloadRefused) != 9 {
		t.Errorf("%+v, logged %d", r, w.count(evReloadRefused))
	}
}

func manyHandles(t *testing.T, n int) (all []policy.Handle) {
	t.Helper()
	for i := range n {
		f, err := filter.Parse(fmt.Sprintf("udp.DstPort == %d", i+1), divertdrv.Network)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, policy.Handle{Filter: f, Priority: int16(i)})
	}
	return all
}

// A callout that writes a file goes on writing it over reloads that do not change it, and closes it when it goes.
func TestReloadKeepsFiles(t *testing.T) {
	text := func(dns, tap string) string {
		return fmt.Sprintf(`version: 1
filters:
  - {name: dns, layer: outbound-transport, when: "udp.DstPort == %s", action: block}
%s`, dns, tap)
	}
	const tap = `  - {name: t, layer: outbound-transport, when: "udp", action: callout, callout: tap}
callouts:
  - {name: tap, type: tap, config: {write: tap.pcapng, snap: 100}}
`
	w := newWorld(t, text("53", tap)).start()
	first := w.s.plan.Load().Policy.Callouts()[0]
	w.write(text("54", tap))
	if x := w.reload(); !x.Applied || fmt.Sprint(x.Changed) != "[dns]" {
		t.Fatalf("%+v", x)
	}
	if w.s.plan.Load().Policy.Callouts()[0] != first {
		t.Error("the callout is another")
	}
	w.write(text("54", strings.Replace(tap, "100", "200", 1)))
	if x := w.reload(); x.Applied || !strings.Contains(x.Error, "give it a file of its own") {
		t.Errorf("%+v", x)
	}
	w.write(text("54", ""))
	if x := w.reload(); !x.Applied || fmt.Sprint(x.Removed) != "[t]" || len(w.s.started) != 0 {
		t.Errorf("%+v, %d started", x, len(w.s.started))
	}
	w.write(text("54", tap))
	if x := w.reload(); !x.Applied || len(w.s.started) != 1 {
		t.Errorf("%+v, %d started", x, len(w.s.started))
	}
}

// Of reloads at the same time each is whole, and one that waits for too long says so.
func TestReloadsTakeTurns(t *testing.T) {
	w := newWorld(t, startPolicy).start()
	var done atomic.Int32
	for range 5 {
		go func() {
			if x, err := w.s.Reload(context.Background(), ByFile); err == nil && x.Applied {
				done.Add(1)
			}
		}()
	}
	await(t, "five reloads", func() bool { return done.Load() == 5 })
	w.s.changing <- struct{}{}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := w.s.Reload(ctx, ByControl); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	<-w.s.changing
}

// A simulation cannot be paused, and says so.
func TestPauseOfASimulation(t *testing.T) {
	w := newWorld(t, startPolicy).start()
	if err := w.s.Pause(t.Context()); !errors.Is(err, divertdrv.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}

// A filter by itself has nothing to read again.
func TestReloadOfAFilter(t *testing.T) {
	w := newWorld(t, startPolicy)
	w.edit = func(p *Plan) { p.Reload = nil }
	w.start()
	if x := w.reload(); x.Applied || !strings.Contains(x.Error, "no policy file") {
		t.Errorf("%+v", x)
	}
}
