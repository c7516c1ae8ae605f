package naive

// outcomes is the table of "Filter Arbitration": the state before, what a sublayer yields, the state after. States and yields are
// the action, with "!" where the right to change it is cleared, and "veto". What is not listed leaves the state as it is.
var outcomes = map[[2]string]string{
	{"", "permit"}:              "permit",
	{"", "permit!"}:             "permit!",
	{"", "filter block!"}:       "block!",
	{"", "callout block"}:       "block",
	{"", "callout block!"}:      "block!",
	{"permit", "permit"}:        "permit",
	{"permit", "permit!"}:       "permit!",
	{"permit", "filter block!"}: "block!",
	{"permit", "callout block"}: "block",

	{"permit", "callout block!"}:  "block!",
	{"block", "permit"}:           "permit",
	{"block", "permit!"}:          "permit!",
	{"block", "filter block!"}:    "block!",
	{"block", "callout block"}:    "block",
	{"block", "callout block!"}:   "block!",
	{"permit!", "callout block"}:  "veto",
	{"permit!", "callout block!"}: "veto",
}

// Says is a callout's answer.
type Says struct {
	Action string // "", "permit", "block", or "panic"
	Hard   bool
	Absorb bool
	Cause  string // empty: by the action
	Reason bool
	Port   int // not 0: it writes this destination port into the packet, if it may
}

// Callout answers for a packet.
type Callout func(c Call, id uint64) Says

// Filter is one filter of a policy.
type Filter struct {
	Name, Layer, Sublayer string
	Weight                uint64
	When                  Condition
	Action                string // "permit", "block", "terminating", "inspection", "unknown"
	Hard, Reason          bool
	// Callout answers for the last three actions, or the one that is registered under a name.
	Callout    Callout
	Registered string
	// Permits says that a filter whose callout is not registered permits.
	Permits bool

	Matched, Permitted, Blocked, Vetoes uint64
}

// Sublayer is one sublayer of a policy.
type Sublayer struct {
	Name   string
	Weight int
}

// Policy is filters and sublayers, in the order given. Every sublayer that filters name is listed.
type Policy struct {
	Sublayers []Sublayer
	Filters   []*Filter
}

// Call is one call of a callout.
type Call struct {
	Filter, Layer string
	Rights        bool
	Reauth        bool
	Cause         string // at discard layers
}

// verdict is the result of one layer.
type verdict struct {
	state          string
	by             *Filter
	cause          string
	absorb, reason bool
}

func (v verdict) blocks() bool { return v.state == "block" || v.state == "block!" || v.state == "veto" }

// heaviest takes out the element with the greatest weight, of equal ones the first.
func heaviest[T any](list []T, weight func(T) uint64) (T, []T) {
	best := 0
	for i := range list {
		if weight(list[i]) > weight(list[best]) {
			best = i
		}
	}
	rest := append(append([]T{}, list[:best]...), list[best+1:]...)
	return list[best], rest
}

// decide asks the filters at a layer.
func (m *Model) decide(layer string, p *Packet, reauth bool, cause string) (v verdict) {
	for left := m.policy.Sublayers; len(left) > 0; {
		var s Sublayer
		s, left = heaviest(left, func(s Sublayer) uint64 { return uint64(s.Weight) })
		f, says, yield := m.ask(layer, s.Name, p, Call{Layer: layer, Rights: v.state == "" || v.state == "permit" || v.state == "block", Reauth: reauth, Cause: cause})
		after, listed := outcomes[[2]string{v.state, yield}]
		if !listed {
			continue
		}
		v = verdict{after, f, says.Cause, says.Absorb, says.Reason}
		if after == "veto" {
			f.Vetoes++
		}
	}
	return v
}

// ask finds the first filter of a sublayer that permits or blocks.
func (m *Model) ask(layer, sublayer string, p *Packet, c Call) (f *Filter, says Says, yield string) {
	var left []*Filter
	for _, f := range m.policy.Filters {
		if f.Layer == layer && f.Sublayer == sublayer {
			left = append(left, f)
		}
	}
	for len(left) > 0 {
		f, left = heaviest(left, func(f *Filter) uint64 { return f.Weight })
		if !f.When.holds(p) {
			continue
		}
		f.Matched++
		says, yield := m.says(f, p, c)
		if says.Action == "permit" {
			f.Permitted++
		}
		if says.Action != "" {
			return f, says, yield
		}
	}
	return nil, Says{}, ""
}

// says is what one filter that applies answers.
func (m *Model) says(f *Filter, p *Packet, c Call) (s Says, yield string) {
	hard := map[bool]string{true: "!"}
	callout := f.Callout
	if callout == nil {
		callout = m.registered[f.Registered]
	}
	switch {
	case f.Action == "permit":
		return Says{Action: "permit"}, "permit" + hard[f.Hard]
	case f.Action == "block":
		return Says{Action: "block", Cause: "filter", Reason: f.Reason}, "filter block!"
	case callout != nil:
		s = m.call(f, callout, p, c)
	case f.Action == "inspection":
		return Says{}, ""
	case f.Permits:
		return Says{Action: "permit"}, "permit" + hard[f.Hard]
	default:
		return Says{Action: "block", Cause: "callout-missing", Reason: f.Reason}, "filter block!"
	}
	switch {
	case f.Action == "inspection":
		return Says{}, ""
	case s.Action == "panic":
		s = Says{Action: "block", Hard: true, Cause: "callout-panic"}
	case s.Action == "" && f.Action == "terminating" && c.Rights:
		s = Says{Action: "block"}
	}
	switch s.Action {
	case "":
		return s, ""
	case "permit":
		return s, "permit" + hard[s.Hard || f.Hard]
	}
	if s.Cause == "" {
		s.Cause = map[bool]string{true: "absorbed", false: "callout"}[s.Absorb]
	}
	return s, "callout block" + hard[s.Hard]
}

// call asks a callout, writes down that it did, and changes the packet as it says.
func (m *Model) call(f *Filter, callout Callout, p *Packet, c Call) Says {
	c.Filter = f.Name
	m.Calls = append(m.Calls, c)
	s := callout(c, p.ID)
	if h := read(p.Data); s.Port != 0 && c.Rights && s.Action != "panic" && (h.transport == "tcp" || h.transport == "udp") {
		p.Data[h.at+2], p.Data[h.at+3] = byte(s.Port>>8), byte(s.Port)
	}
	return s
}
