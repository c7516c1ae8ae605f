package nfqueue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The versions of peers that bench/peers/go.mod names.
const (
	goNFQueue = "github.com/florianl/go-nfqueue/v2 v2.1.0"
	openGFW   = "OpenGFW v0.4.1"
)

// The names of peers that goals speak of.
const (
	PeerReadme  = "go-nfqueue, README"
	PeerTuned   = "go-nfqueue, tuned"
	PeerSimple  = "C, one by one"
	PeerBatch   = "C, batches"
	PeerOpenGFW = "OpenGFW"
)

// readmeWindow is half of the queue that go-nfqueue's example asks for.
const readmeWindow = 128

// BuildPeers builds the programs of peers from the module in the folder module (bench/peers of a checkout) into the folder into. A
// peer that cannot be built is there with the reason. tell is told what is being done.
func BuildPeers(ctx context.Context, module, into string, tell func(string)) []Peer {
	b := builder{ctx, module, into, tell}
	queue := strconv.Itoa(Queue)
	gonfqueue, whyGo := b.goProgram("gonfqueue", "./nfqueue/gonfqueue")
	simple, whySimple := b.cProgram("simple")
	batch, whyBatch := b.cProgram("batch")
	return []Peer{
		{Name: PeerReadme, About: goNFQueue + ", the loop of its example without the printing", Argv: []string{gonfqueue, "readme", queue}, Why: whyGo, Window: readmeWindow},
		{Name: PeerTuned, About: goNFQueue + ", super-packets whole, long queue, large buffers", Argv: []string{gonfqueue, "tuned", queue}, Why: whyGo},
		{Name: PeerSimple, About: "libnetfilter_queue, one recv and one verdict a packet", Argv: []string{simple, queue}, Why: whySimple},
		{Name: PeerBatch, About: "libnetfilter_queue, recvmmsg and batch verdicts, super-packets whole", Argv: []string{batch, queue}, Why: whyBatch},
		b.openGFW(),
	}
}

type builder struct {
	ctx          context.Context
	module, into string
	tell         func(string)
}

// goProgram builds a Go program of the module.
func (b builder) goProgram(name, pkg string) (path, why string) {
	path = filepath.Join(b.into, name)
	return path, b.build("go", "build", "-o", path, pkg)
}

// cProgram builds one of the C programs.
func (b builder) cProgram(name string) (path, why string) {
	path = filepath.Join(b.into, name)
	flags, err := exec.CommandContext(b.ctx, "pkg-config", "--cflags", "--libs", "libnetfilter_queue", "libnfnetlink").Output()
	if err != nil {
		return path, "libnetfilter_queue is not here (Debian: apt-get install gcc pkg-config libnetfilter-queue-dev)"
	}
	source := filepath.Join("nfqueue", "c", name+".c")
	return path, b.build("gcc", append([]string{"-O2", "-o", path, source}, strings.Fields(string(flags))...)...)
}

// build runs a command in the module; why it failed is not there if it did not.
func (b builder) build(name string, args ...string) (why string) {
	b.tell("building: " + name + " " + strings.Join(args, " "))
	cmd := exec.CommandContext(b.ctx, name, args...)
	cmd.Dir = b.module
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Sprintf("%s: %v: %s", name, err, strings.TrimSpace(string(out)))
	}
	return ""
}

// openGFW is the program as it is, with rules of its own. It says that it started before it knows whether it can, hence the wait.
func (b builder) openGFW() Peer {
	p := Peer{Name: PeerOpenGFW, About: openGFW + ", one rule that never matches", Ready: "engine started", Settle: time.Second, OwnRule: true}
	path, why := b.goProgram("opengfw", "github.com/apernet/OpenGFW")
	config, rules := filepath.Join(b.into, "opengfw.yaml"), filepath.Join(b.into, "opengfw-rules.yaml")
	err := errors.Join(
		os.WriteFile(config, []byte("io: {queueSize: 16384, local: false}\n"), 0o600),
		os.WriteFile(rules, []byte("- {name: none, action: block, expr: \"ip.dst == '192.0.2.1'\"}\n"), 0o600),
	)
	if err != nil {
		why = err.Error()
	}
	p.Argv, p.Why = []string{path, "-c", config, rules}, why
	return p
}
