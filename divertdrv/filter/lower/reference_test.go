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
	known map[int]bool
}

func (r *reference) accepts(at int) bool {
	switch at {
	case filter.Accept:
		return true
	case filter.Reject:
		return false
	}
	if yes, ok := r.known[at]; ok {
		return yes
	}
	t, yes := &r.tests[at], false
	switch {
	case !r.decides(t.Field):
		yes = r.accepts(t.True) || r.accepts(t.False)
	case r.steps[at].Outcome == filter.OutcomeTrue:
		yes = r.accepts(t.True)
	default:
		yes = r.accepts(t.False)
	}
	r.known[at] = yes
	return yes
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

// answer is what the program of the kernel must answer for a packet.
func answer(hook *lower.Hook, p *filter.Program, a *addr.Address, pkt []byte) (matches bool, steps []filter.Step) {
	var h wire.Headers
	if !wire.Parse(pkt, &h) {
		return false, nil
	}
	r := reference{
		hook: hook, tests: p.Compiled(), steps: p.Explain(a, pkt, &h).Tests, known: map[int]bool{},
		part: hook.Reassemble && h.Version == 6 && h.Fragment,
	}
	return r.accepts(0), r.steps
}
