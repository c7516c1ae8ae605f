package naive

// Model is a host and its policy.
type Model struct {
	// Established says what becomes of a block at ale-flow-established without a reason: "refuse" it, or let it count.
	Established string
	Calls       []Call // of callouts, since the last Judge began

	policy     *Policy
	version    int // of the policy and of what is registered
	registered map[string]Callout
	flows      map[bool]map[string]*flow
}

// flow is what is remembered of one.
type flow struct {
	opener    string // the end that sent the first packet
	outbound  bool
	stage     string // "opening", "answered", "open", "closed"
	told      bool   // ALE sees it
	midstream bool
	fins      map[string]bool
	refused   string // why its packets are dropped
	never     bool   // it was refused at its opening
	version   int
	last      int64
}

// order is the layers in the order in which any packet visits those that it does; of the documented sequences each is a part.
var order = map[bool][]string{
	true: {
		"inbound-transport-discard", "inbound-ippacket-discard",
		"ale-auth-connect", "ale-auth-recv-accept", "ale-flow-established", "datagram-data", "outbound-icmp-error",
		"outbound-transport", "outbound-ippacket",
	},
	false: {
		"inbound-ippacket", "inbound-transport",
		"ale-auth-connect", "ale-auth-recv-accept", "ale-flow-established", "datagram-data", "inbound-icmp-error",
	},
}

const second = int64(1e9)

// Swap puts a policy in force.
func (m *Model) Swap(p *Policy) {
	m.policy = p
	m.version++
}

// Register makes a callout known under a name; nil: unknown.
func (m *Model) Register(name string, c Callout) {
	if m.registered == nil {
		m.registered = map[string]Callout{}
	}
	m.registered[name] = c
	for _, f := range m.policy.Filters {
		if f.Registered == name {
			m.version++
		}
	}
}

// event is what a packet is to its flow.
type event struct{ auth, reauth, established, refusal, last bool }

// Judge returns whether a packet goes on, and if not, why.
func (m *Model) Judge(p *Packet) (passes bool, cause string) {
	m.Calls = m.Calls[:0]
	if m.flows == nil {
		m.flows = map[bool]map[string]*flow{true: {}, false: {}}
	}
	h := read(p.Data)
	if h.version == 0 {
		passes, cause, _ = m.walk(p, &h, nil, event{})
		return passes, cause
	}
	src, name := h.ends(p.Data)
	f := m.flows[p.Forward][name]
	fresh := f == nil || m.over(f, &h, p)
	if fresh {
		f = begin(&h, p, src)
		m.flows[p.Forward][name] = f
	}
	f.last = p.At
	before := *f
	e := event{}
	shown := !h.fragment && !h.icmpError(p.Data)
	if shown && (f.told || f.midstream) {
		e = f.advance(&h, p, src, fresh)
	}
	if !p.Forward && shown {
		if f.version != m.version && !fresh && f.told && f.stage != "closed" {
			e.auth, e.reauth = true, true
		}
		f.version = m.version
	}
	if f.refused != "" && !e.auth {
		cause := f.refused
		if !fresh {
			f.stage, f.fins = before.stage, before.fins
		}
		return false, cause
	}
	passes, cause, ended := m.walk(p, &h, f, e)
	if !passes && !ended && !fresh {
		f.stage, f.fins = before.stage, before.fins
	}
	if e.last && passes {
		f.stage = "closed"
	}
	return passes, cause
}

// over says whether a flow ended before the packet.
func (m *Model) over(f *flow, h *header, p *Packet) bool {
	shown := !h.fragment && !h.icmpError(p.Data)
	if shown && !f.told && !f.midstream {
		return true
	}
	patience := 60 * second
	if h.protocol == 6 && (f.told || f.midstream) {
		patience = map[string]int64{"opening": 30, "answered": 30, "open": 7200, "closed": 10}[f.stage] * second
	}
	if p.At-f.last > patience {
		return true
	}
	if !shown {
		return false
	}
	if h.transport == "tcp" {
		syn := h.flag(p.Data, "syn") && !h.flag(p.Data, "ack") && !h.flag(p.Data, "rst")
		return syn && (f.refused != "" || f.stage == "closed" || f.midstream)
	}
	return f.never
}

func begin(h *header, p *Packet, src string) *flow {
	f := &flow{opener: src, outbound: p.Outbound, stage: "open", told: true, fins: map[string]bool{}}
	switch {
	case h.fragment || h.icmpError(p.Data):
		f.told = false
	case h.transport != "tcp":
	case h.flag(p.Data, "syn") && !h.flag(p.Data, "ack") && !h.flag(p.Data, "rst"):
		f.stage = "opening"
	default:
		f.told, f.midstream = false, true
	}
	return f
}

// advance moves the flow on.
func (f *flow) advance(h *header, p *Packet, src string, fresh bool) (e event) {
	if h.transport != "tcp" {
		return event{auth: fresh, established: fresh}
	}
	has := func(name string) bool { return h.flag(p.Data, name) }
	e.auth = fresh && f.stage == "opening"
	if f.stage == "closed" {
		return e
	}
	if has("rst") {
		e.refusal = f.stage == "opening" && src != f.opener && !f.outbound
		e.last = true
		f.stage = "closed"
		return e
	}
	if !fresh && f.stage != "open" {
		switch {
		case has("syn") && has("ack") && src != f.opener && f.stage == "opening":
			f.stage = "answered"
			e.established = f.outbound
		case has("ack") && !has("syn") && src == f.opener:
			e.established = true
		}
	}
	if e.established {
		f.stage = "open"
	}
	if has("fin") && f.stage == "open" {
		fins := map[string]bool{src: true}
		for end := range f.fins {
			fins[end] = true
		}
		if f.fins = fins; len(fins) == 2 {
			f.stage, e.last = "closed", true
		}
	}
	return e
}

func (f *flow) authLayer() string {
	if f.outbound {
		return "ale-auth-connect"
	}
	return "ale-auth-recv-accept"
}

// visits says whether a packet visits a layer.
func visits(layer string, p *Packet, h *header, f *flow, e event) bool {
	switch layer {
	case "inbound-ippacket", "outbound-ippacket":
		return true
	}
	if h.version == 0 || h.fragment {
		return false
	}
	switch layer {
	case "inbound-transport", "outbound-transport":
		return true
	case "inbound-transport-discard":
		return e.refusal
	case "inbound-ippacket-discard":
		return h.portUnreachable(p.Data) && !e.refusal
	case "ale-auth-connect", "ale-auth-recv-accept":
		return e.auth && layer == f.authLayer()
	case "ale-flow-established":
		return e.established
	case "datagram-data":
		return h.transport == "udp" || h.transport != "tcp" && h.transport != "" && !h.icmpError(p.Data)
	}
	return h.icmpError(p.Data)
}

// walk visits the layers.
func (m *Model) walk(p *Packet, h *header, f *flow, e event) (passes bool, cause string, ended bool) {
	layers := []string{"ipforward"}
	if !p.Forward {
		layers = nil
		for _, l := range order[p.Outbound] {
			if visits(l, p, h, f, e) {
				layers = append(layers, l)
			}
		}
	}
	for _, l := range layers {
		auth := f != nil && l == f.authLayer()
		why := map[bool]string{true: "no-listener"}[isDiscard(l)]
		v := m.decide(l, p, e.reauth && auth, why)
		if v.blocks() && l == "ale-flow-established" && !v.reason && m.Established == "refuse" {
			continue
		}
		if v.blocks() {
			return false, v.cause, m.blocked(l, p, f, e, v)
		}
		if e.reauth && auth {
			f.refused = ""
		}
	}
	return true, "", false
}

// blocked is what a block means for the flow.
func (m *Model) blocked(l string, p *Packet, f *flow, e event, v verdict) (ended bool) {
	v.by.Blocked++
	switch {
	case f == nil:
	case l == "ale-flow-established":
		f.refused, f.never, f.stage, ended = v.cause, false, "closed", true
	case e.auth && l == f.authLayer():
		f.refused, f.never, ended = v.cause, !e.reauth, !e.reauth
		if ended {
			f.stage = "closed"
		}
	}
	if !isDiscard(l) && !v.absorb {
		m.decide(l+"-discard", p, false, v.cause)
	}
	return ended
}

func isDiscard(l string) bool { return len(l) > 8 && l[len(l)-8:] == "-discard" }
