package inject

import "github.com/weirnet/weir/divertdrv/wire"

// inline refuses TCP that is put in while its flow, or a transport layer, classifies. unlock gives back what it took.
func (j *Injector) inline(s *Scope, in *Injection) (unlock func(), err error) {
	if h := in.Packet.Headers(); h.Proto != wire.ProtoTCP || h.Version == 0 || !j.watch.looks(InlineTCP) {
		return free, nil
	}
	if s.atTransport() {
		return free, j.refuse(s, in, "inline TCP injection")
	}
	if j.guard == nil || s != nil && s.open { // layers below transport hold no lock
		return free, nil
	}
	flow, _, _ := in.Packet.Headers().Flow(in.Packet.Data)
	if !j.guard.tryLock(flow) {
		return free, j.refuse(s, in, "TCP injection by a back door, from within a classification of its flow")
	}
	return func() { j.guard.Unlock(flow) }, nil
}

func free() {}

// refuse tells of the violation; the error is nil if the rule only reports.
func (j *Injector) refuse(s *Scope, in *Injection, detail string) error {
	v := &Violation{
		Rule: InlineTCP, Path: in.Path, cause: ErrInlineTCPInjection,
		Detail: detail, Remedy: "queue it with Defer (TCP locks are held during classify)",
	}
	j.watch.breached(InlineTCP)
	j.watch.report(s, v)
	if j.watch.enforces(InlineTCP) {
		return v
	}
	return nil
}
