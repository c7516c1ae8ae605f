package inject_test

import (
	"errors"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
)

// breach is a program that breaks one consideration, and one like it that does not.
type breach struct {
	rule        inject.Rule
	set         func(*inject.Rules, inject.Setting)
	violating   func() (*inject.Scope, inject.Injection)
	conforming  func() (*inject.Scope, inject.Injection)
	report      string // exactly what is told of the violating program
	sentinel    error
	refused     error                                     // by the violating program's Inject, if the rule is enforced; nil: repaired
	keeps       func(t *testing.T, r *rig, enforced bool) // what came out is as the rule wants it, or not
	countedWith func(inject.Stats) uint64
}

func transportScope() *inject.Scope {
	var s inject.Scope
	s.Enter("outbound-transport", "eager", true)
	return &s
}

var breaches = []breach{
	{
		rule: inject.StaleChecksum,
		set:  func(r *inject.Rules, s inject.Setting) { r.StaleChecksum = s },
		violating: func() (*inject.Scope, inject.Injection) {
			b := segment(8, 10, 0, wire.ProtoTCP)
			b[10], b[11] = 0x12, 0x34
			return nil, inject.Injection{Packet: divertdrv.NewPacket(final(), b), Path: inject.Receive}
		},
		conforming: func() (*inject.Scope, inject.Injection) {
			b := segment(8, 10, 0, wire.ProtoTCP)
			b[10], b[11] = 0x12, 0x34
			a := final()
			a.SetIPChecksum(false)
			return nil, inject.Injection{Packet: divertdrv.NewPacket(a, b), Path: inject.Receive}
		},
		report: "IPv4 header checksum 0x1234, want 0x60b8, on receive injection: " +
			"clear the Address's IPChecksum, or compute it: a reassembled packet carries a stale one",
		sentinel: inject.ErrStaleChecksum,
		keeps: func(t *testing.T, r *rig, enforced bool) {
			var h wire.Headers
			wire.Parse(r.host[0].data, &h)
			if ip, _ := wire.Verify(r.host[0].data, &h); (ip == wire.SumGood) != enforced {
				t.Errorf("the host gets an IP checksum that is %v", ip)
			}
		},
		countedWith: func(s inject.Stats) uint64 { return s.StaleChecksums },
	},
	{
		rule: inject.InlineTCP,
		set:  func(r *inject.Rules, s inject.Setting) { r.InlineTCP = s },
		violating: func() (*inject.Scope, inject.Injection) {
			return transportScope(), inject.Injection{Packet: divertdrv.NewPacket(final(), segment(0, 1, 0, wire.ProtoTCP))}
		},
		conforming: func() (*inject.Scope, inject.Injection) {
			return nil, inject.Injection{Packet: divertdrv.NewPacket(final(), segment(0, 1, 0, wire.ProtoTCP))}
		},
		report:      `inline TCP injection at outbound-transport by callout "eager": queue it with Defer (TCP locks are held during classify)`,
		sentinel:    inject.ErrInlineTCPInjection,
		refused:     inject.ErrInlineTCPInjection,
		countedWith: func(s inject.Stats) uint64 { return s.InlineTCP },
	},
	{
		rule: inject.Misaligned,
		set:  func(r *inject.Rules, s inject.Setting) { r.Misaligned = s },
		violating: func() (*inject.Scope, inject.Injection) {
			return nil, inject.Injection{Packet: divertdrv.NewPacket(final(), segment(0, 1, 2, wire.ProtoUDP))}
		},
		conforming: func() (*inject.Scope, inject.Injection) {
			return nil, inject.Injection{Packet: divertdrv.NewPacket(final(), segment(0, 1, 0, wire.ProtoUDP))}
		},
		report: "IP header at an address that is 2 more than a multiple of 8, on send injection: " +
			"start the packet at an aligned address; a misaligned one costs a copy",
		sentinel: inject.ErrMisalignedHeader,
		keeps: func(t *testing.T, r *rig, enforced bool) {
			if got := r.wire[0].pointer % 8; (got == 0) != enforced {
				t.Errorf("the driver gets a header at %d more than a multiple of 8", got)
			}
		},
		countedWith: func(s inject.Stats) uint64 { return s.Misaligned },
	},
}

func TestRules(t *testing.T) {
	for i := range breaches {
		b := &breaches[i]
		for _, setting := range []inject.Setting{inject.Enforce, inject.Report, inject.Off} {
			t.Run(b.rule.String()+"/"+setting.String(), func(t *testing.T) { b.try(t, setting) })
		}
	}
}

func (b *breach) try(t *testing.T, setting inject.Setting) {
	var told []inject.Violation
	cfg := inject.Config{OnViolation: func(v inject.Violation) { told = append(told, v) }}
	b.set(&cfg.Rules, setting)
	r := newRigWith(t, simdrv.Config{}, cfg) // a driver that takes any address
	if err := r.j.Inject(b.conforming()); err != nil || len(told) != 0 {
		t.Fatalf("the conforming program: %v, told %v", err, told)
	}
	r.wire, r.host = nil, nil
	err := r.j.Inject(b.violating())
	enforced := setting == inject.Enforce
	if want := b.refused; !enforced && err != nil || enforced && !errors.Is(err, want) {
		t.Errorf("the violating program: %v", err)
	}
	if b.keeps != nil {
		b.keeps(t, r, enforced)
	}
	wantTold := uint64(1)
	if setting == inject.Off {
		wantTold = 0
	}
	if got := b.countedWith(r.j.Stats()); got != wantTold || uint64(len(told)) != wantTold {
		t.Fatalf("counted %d, told %d times; want %d", got, len(told), wantTold)
	}
	if wantTold == 1 && (told[0].Error() != b.report || told[0].Rule != b.rule || !errors.Is(&told[0], b.sentinel)) {
		t.Errorf("told %q, rule %v, want %q", told[0].Error(), told[0].Rule, b.report)
	}
	r.close(t)
}

func TestNamesOfRulesAndSettings(t *testing.T) {
	for got, want := range map[string]string{
		inject.StaleChecksum.String(): "stale-checksum", inject.InlineTCP.String(): "inline-tcp", inject.Misaligned.String(): "misaligned",
		inject.Rule(9).String(): "rule(9)", inject.Enforce.String(): "enforce", inject.Report.String(): "report", inject.Off.String(): "off",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
