package stack

// token is what the engine has to know of a packet beside its Address, while it waits and while it is out: it is the packet's
// token in a batch.
//
// The low bits are flags. Above them an inbound fragment has the rank below which the packet that it is part of may be seen,
// once it is whole; 0: that was not determined yet.
type token uint64

const (
	tokenKept token = 1 << iota // the packet came from the Source: it is never shed
	tokenCut                    // it did not fit into an empty batch: its end is missing
	tokenCopy                   // what it stands for went on

	tokenShift = iota
)

func (t token) kept() bool { return t&tokenKept != 0 }

// below is the rank in t, or that of who sends a fragment on its way: whoever injects one does not see the whole.
func (t token) below(from rank) rank {
	if r := rank(t >> tokenShift); r != 0 {
		return r
	}
	return from
}

func (t token) withBelow(r rank) token { return t&(1<<tokenShift-1) | token(r)<<tokenShift }
