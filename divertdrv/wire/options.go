package wire

// Kinds of IPv4 options (IANA ip-parameters) and TCP options (IANA tcp-parameters). The first two are the same in both.
const (
	OptEnd           = 0
	OptNop           = 1
	IPv4OptLSRR      = 131
	IPv4OptSSRR      = 137
	IPv4OptAlert     = 148
	TCPOptMSS        = 2
	TCPOptWindow     = 3
	TCPOptSACKOK     = 4
	TCPOptSACK       = 5
	TCPOptTimestamps = 8
)

// Options walks the options of an IPv4 or TCP header, which have one format. A copy walks on by itself.
type Options struct {
	rest []byte
	bad  bool
}

// Next returns the next option and its data, which is part of the packet. No-operations are skipped; ok is false at the end of
// the options and where one is malformed. It ends after at most 40 steps.
func (o *Options) Next() (kind uint8, data []byte, ok bool) {
	for len(o.rest) > 0 && o.rest[0] == OptNop {
		o.rest = o.rest[1:]
	}
	if len(o.rest) == 0 || o.rest[0] == OptEnd {
		return OptEnd, nil, false
	}
	if len(o.rest) < 2 || o.rest[1] < 2 || int(o.rest[1]) > len(o.rest) {
		o.bad = true
		return OptEnd, nil, false
	}
	n := o.rest[1]
	kind, data = o.rest[0], o.rest[2:n:n]
	o.rest = o.rest[n:]
	return kind, data, true
}

// Malformed says that Next ended at an option whose length is impossible.
func (o *Options) Malformed() bool { return o.bad }

// Find returns the data of the first option of that kind; ok is false if there is none before the end or a malformed one.
func (o Options) Find(kind uint8) (data []byte, ok bool) {
	for {
		k, data, ok := o.Next()
		if !ok || k == kind {
			return data, ok
		}
	}
}
