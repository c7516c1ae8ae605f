package control

import "time"

// Bounds of the API.
const (
	BodyMax          = 1 << 20 // bytes of a request's body
	HeaderMax        = 16 << 10
	ConnectionsMax   = 32
	RequestsPerSec   = 100 // of each kind (questions, changes, scrapes), of all clients together; beyond it the answer is CodeTooMany
	RequestsBurst    = 200
	ExplainPerSec    = 10 // explanations
	SubscriptionsMax = 8
	FlowsDefault     = 100
	FlowsMax         = 10_000
	TraceQueue       = 256     // lines that wait for a slow subscriber; then packets are missed
	DumpQueue        = 4 << 20 // bytes, likewise
	TracePerSec      = 1000    // packets that are explained for one subscriber

	readTimeout  = 10 * time.Second // of a request
	writeTimeout = 10 * time.Second // of an answer, and of each line of a subscription
	idleTimeout  = 2 * time.Minute
	beat         = 5 * time.Second // an empty line to a subscriber to whom there is nothing to say
)
