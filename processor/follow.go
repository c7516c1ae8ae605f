package processor

import "github.com/weirnet/weir/divertdrv"

// Follower is a callout that is told what became of packets that it was shown. Classify runs before the verdict is known: a
// callout that wants to know it gives its Verdict a Follow, any number but 0 that names the packet to itself.
//
// Followed is called once for each, when the last layer has been asked and before the packet goes on. It must not block, nor
// keep o; the packet must not be changed any more.
type Follower interface {
	Callout
	Followed(n uint64, o Outcome)
}

// Fate is what became of a packet.
type Fate uint8

// The fates.
const (
	Dropped  Fate = iota
	Passed        // it goes on; behind held or deferred packets of its flow it waits, and is dropped if the flow is aborted meanwhile
	HeldBack      // a callout holds it; what becomes of it later is told only of a pended one, to those behind who follow it then
)

// String returns "drop", "pass" or "held".
func (f Fate) String() string { return [...]string{"drop", "pass", "held"}[min(f, HeldBack)] }

// Outcome is what became of one packet. It is valid during Followed.
type Outcome struct {
	Addr   *divertdrv.Address
	Data   []byte // as it goes on, is held, or was when it was dropped
	Fate   Fate
	Cause  divertdrv.Cause // valid iff it was dropped
	Filter string          // which dropped it; empty: no filter did, or it was not dropped
	Layer  Layer           // where; valid iff Filter is not empty
}

// follow is one number to be told of.
type follow struct {
	by Follower
	n  uint64
}

// tell tells what became of the packet, to those who asked. A panic in Followed is contained and counted.
func (k *classifier) tell(p *divertdrv.Packet, r result) {
	if len(k.follows) == 0 {
		return
	}
	o := outcome(p, r)
	for _, f := range k.follows {
		k.followed(f, o)
	}
	k.returnedAt = longAgo
	clear(k.follows)
	k.follows = k.follows[:0]
}

func outcome(p *divertdrv.Packet, r result) Outcome {
	o := Outcome{Addr: p.Addr, Data: p.Data, Fate: r.fate}
	if r.fate == Dropped {
		o.Cause = r.cause
		if r.by != nil {
			o.Filter, o.Layer = r.by.Name, r.layer
		}
	}
	return o
}

func (k *classifier) followed(f follow, o Outcome) {
	defer func() {
		if r := recover(); r != nil {
			if m, misuse := r.(divertdrv.Misuse); misuse {
				panic(m)
			}
			k.counts.panics.Add(1)
		}
	}()
	f.by.Followed(f.n, o)
}
