package simulation

import (
	"fmt"
	"math/rand/v2"
)

// Program is a random life of some handles on one host. Each of its operations draws what it needs from a seed of its own, and
// does nothing where it does not fit, so what is left when some are taken out is a program too.
type Program struct {
	Seed  uint64
	Setup Setup
	Ops   []Op
}

// Setup is what stays the same through a program.
type Setup struct {
	Named    bool    // the host has interfaces with addresses
	HoldMax  int     // packets that each handle may hold
	Refuse   float64 // chance that the driver refuses a packet
	DieAfter int     // operations until the driver dies; 0: it does not
	Wire     bool    // what the host receives comes over a wire with faults
	Sockets  bool    // there are sockets, and handles that see them
}

// Op is one operation.
type Op struct {
	Kind Kind
	Seed uint64
}

// Kind is what an operation does.
type Kind uint8

// The kinds of operations.
const (
	opOpen Kind = iota
	opTraffic
	opFragments
	opRecv
	opComplete
	opRelease
	opInject
	opParam
	opAdvance
	opShutdown
	opClose
	opDie
	opEnd
	opCloseHost
	opSocket
	kinds
)

var kindNames = [kinds]string{
	"open", "traffic", "fragments", "recv", "complete", "release", "inject", "param", "advance", "shutdown", "close", "die", "end", "close-host", "socket",
}

// String returns the kind's name.
func (k Kind) String() string { return kindNames[k%kinds] }

// shares are how often each kind comes, of their sum.
var shares = [kinds]int{
	opOpen: 14, opTraffic: 24, opFragments: 3, opRecv: 26, opComplete: 20, opRelease: 12, opInject: 12, opParam: 3, opAdvance: 8,
	opShutdown: 2, opClose: 4, opDie: 1, opEnd: 1, opCloseHost: 1,
}

// Lengths of programs, in operations.
const (
	opsMin  = 8
	opsSpan = 60
)

// GenerateSockets makes a program with sockets of Generate's: some of its traffic is their calls instead.
func GenerateSockets(seed uint64) Program {
	p := Generate(seed)
	p.Setup.Sockets = true
	for i := range p.Ops {
		if p.Ops[i].Kind == opTraffic && p.Ops[i].Seed%3 != 0 {
			p.Ops[i].Kind = opSocket
		}
	}
	return p
}

// Generate makes the program of a seed: always the same one.
func Generate(seed uint64) Program {
	d := rand.New(rand.NewPCG(seed, 0x70726f67))
	p := Program{Seed: seed, Setup: Setup{Named: d.IntN(2) == 0, HoldMax: 1 + d.IntN(6), Wire: d.IntN(3) == 0}}
	if d.IntN(3) == 0 {
		p.Setup.Refuse = 0.1
	}
	if d.IntN(6) == 0 {
		p.Setup.DieAfter = 1 + d.IntN(40)
	}
	total := 0
	for _, n := range shares {
		total += n
	}
	p.Ops = append(p.Ops, Op{opOpen, d.Uint64()})
	for range opsMin + d.IntN(opsSpan) {
		at, kind := d.IntN(total), Kind(0)
		for at >= shares[kind] {
			at -= shares[kind]
			kind++
		}
		p.Ops = append(p.Ops, Op{kind, d.Uint64()})
	}
	return p
}

// rng is the source of all that an operation draws.
func (o Op) rng() *rand.Rand { return rand.New(rand.NewPCG(o.Seed, uint64(o.Kind))) }

// String describes a program without running it.
func (p *Program) String() string {
	return fmt.Sprintf("seed %d, %d operations, %+v", p.Seed, len(p.Ops), p.Setup)
}
