package nfqdrv

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter/lower"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/rules"
)

// install loads a program for each place and sets the rules that ask it.
func (c *conn) install(failClosed bool) error {
	var all []rules.Rule
	var programs []*ebpf.Program
	defer func() {
		for _, p := range programs {
			_ = p.Close() // the rules keep it
		}
	}()
	filters := c.filters()
	for i, low := range filters.lowered {
		if low.Never {
			continue
		}
		at := &filters.places[i]
		p, err := c.load(low, i)
		if err != nil {
			return err
		}
		programs = append(programs, p)
		all = append(all, c.rule(at, p, failClosed))
	}
	return c.table.Set(all)
}

// rule is what becomes of what a program matches. A program that copies matches nothing.
func (c *conn) rule(at *place, p *ebpf.Program, failClosed bool) rules.Rule {
	r := rules.Rule{Hook: at.at, In: at.in, Out: at.out, Match: p, Local: at.at == rules.Prerouting}
	switch {
	case c.sniffs:
		r.Action = rules.Pass
	case c.dropper.m != nil:
		r.Action = rules.Drop
	default:
		r.Action, r.To = rules.Queue, rules.To{Queue: c.queue.Number(), Bypass: !failClosed}
	}
	return r
}

// load loads the program of one place. What the handle itself, or one that is not above it, injected is passed by: that is looked for
// behind the filter, since it costs more than most filters, and what does not match is not to pay for it.
func (c *conn) load(low *lower.Result, place int) (*ebpf.Program, error) {
	at := c.filters().places[place].at
	match := c.driver.shared.registry.Prologue(origin(at), c.rank, lower.LabelNoMatch)
	switch {
	case c.copier != nil:
		match = append(match, c.copier.instructions(place)...)
	case c.judged != nil:
		match = append(match, c.judged.Program()...)
	case c.dropper.m != nil:
		match = append(append(match, c.dropper.add("Counted")...), asm.Mov.Imm(asm.R0, 1), asm.Return())
	default:
		match = append(match, asm.Mov.Imm(asm.R0, 1), asm.Return())
	}
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "weir_filter", Type: ebpf.SocketFilter, Instructions: low.Program(lower.Code{Match: match}), License: "GPL", // helpers ask for it
	})
	switch {
	case errors.Is(err, unix.EPERM):
		return nil, fmt.Errorf("load the filter of hook %v: %w (CAP_BPF): %w", at, divertdrv.ErrAccess, err)
	case err != nil:
		return nil, fmt.Errorf("load the filter of hook %v: %w", at, err)
	}
	return p, nil
}
