package lower_test

import (
	"strings"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/filter/lower"
	"github.com/weirnet/weir/divertdrv/wire"
)

// reference says what a program of the kernel must answer, from what Explain says of each test: a test that the kernel cannot
// decide takes both edges.
type reference struct {
	hook  *lower.Hook
	tests []filter.Test
	steps []filter.Step
	part  bool // a fragment that is to be reassembled
	known map[int]ends
}

// ends says how the ways from a test end.
type ends struct{ some, all bool } // in accept

func (r *reference) from(at int) (e ends) {
	switch at {
	case filter.Accept:
		return ends{true, true}
	case filter.Reject:
		return ends{}
	}
	if e, ok := r.known[at]; ok {
		return e
	}
	switch t := &r.tests[at]; {
	case !r.decides(t.Field):
		yes, no := r.from(t.True), r.from(t.False)
		e = ends{yes.some || no.some, yes.all && no.all}
	case r.steps[at].Outcome == filter.OutcomeTrue:
		e = r.from(t.True)
	default:
		e = r.from(t.False)
	}
	r.known[at] = e
	return e
}

// decides says whether the kernel can decide a test of the field.
func (r *reference) decides(field string) bool {
	switch field {
	case "timestamp", "random8", "random16", "random32":
		return false
	case "ifIdx":
		return r.hook.IfIdx != 0 || r.hook.SeesIfIdx
	case "impostor":
		return r.hook.Impostor != lower.Unknown
	case "zero", "event", "inbound", "outbound", "loopback", "subIfIdx", "ip", "ipv6", "icmp":
		return true
	}
	return !r.part || strings.HasSuffix(field, "Addr") || strings.HasPrefix(field, "ip.") || strings.HasPrefix(field, "icmp.")
}

// answer is how the program of the kernel must end for a packet.
func answer(hook *lower.Hook, p *filter.Program, a *addr.Address, pkt []byte, h *wire.Headers) (ends, []filter.Step) {
	if h.Version == 0 {
		return ends{}, nil
	}
	r := reference{
		hook: hook, tests: p.Compiled(), steps: p.Explain(a, pkt, h).Tests, known: map[int]ends{},
		part: hook.Reassemble && h.Version == 6 && h.Fragment,
	}
	return r.from(0), r.steps
}
