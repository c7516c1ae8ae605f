package policy

// The file as its keys say it. docs/policy.md explains each; a test compares the two, and docs/policy.schema.json is generated
// from it (jsonschema.go).

type document struct {
	Version   placed[uint]           `yaml:"version,required" doc:"of the format: 1"`
	Include   []placed[string]       `yaml:"include" doc:"files with more sublayers, filters and callouts, below the policy's directory"`
	Driver    placed[driverSpec]     `yaml:"driver" doc:"where packets come from"`
	Sets      []placed[setSpec]      `yaml:"sets" doc:"addresses or ports that conditions of filters name"`
	Handles   placed[[]handleSpec]   `yaml:"handles" doc:"what the driver hands over; left out: what the filters need"`
	Sublayers []placed[sublayerSpec] `yaml:"sublayers" doc:"groups of filters"`
	Filters   []placed[filterSpec]   `yaml:"filters" doc:"which packets meet which action"`
	Callouts  []placed[calloutSpec]  `yaml:"callouts" doc:"code that filters name"`
	Rules     placed[rulesSpec]      `yaml:"rules" doc:"what is done about breaches of the considerations"`
}

type driverSpec struct {
	Backend string           `yaml:"backend,required" oneof:"auto windivert nfqueue sim pcap" doc:"the driver; auto is the platform's own"`
	Read    placed[string]   `yaml:"read" path:"read" backend:"pcap" doc:"the capture to read, pcap or pcapng, also gzipped"`
	Write   placed[string]   `yaml:"write" path:"write" backend:"pcap sim nfqueue" doc:"pcapng file for what passes and is injected"`
	Local   placed[[]prefix] `yaml:"local" backend:"pcap" doc:"addresses and prefixes of the host that captured; packets from it are outbound"`
	Packets placed[int]      `yaml:"packets" min:"0" max:"1000000000" default:"10000" backend:"sim" doc:"packets to make; 0: without end"`
	Seed    placed[uint64]   `yaml:"seed" default:"1" backend:"sim" doc:"of the packets; the same seed makes the same packets"`

	Namespace  placed[string]   `yaml:"namespace" path:"read" backend:"nfqueue" doc:"network namespace to divert in, such as /run/netns/blue"`
	FailClosed placed[bool]     `yaml:"fail-closed" default:"false" backend:"nfqueue" doc:"while no program reads them, packets that match are dropped"`
	Spin       placed[duration] `yaml:"spin" default:"0s" backend:"nfqueue" doc:"how long a reader asks for packets before it sleeps, 0 to 10ms"`
}

type handleSpec struct {
	Layer    string             `yaml:"layer,required" oneof:"network forward" doc:"packets to and from this host, or packets that it routes"`
	Filter   placed[expression] `yaml:"filter" default:"true" doc:"which packets, in WinDivert's language"`
	Priority int16              `yaml:"priority" min:"-30000" max:"30000" default:"0" doc:"the handle with the highest number sees a packet first"`
	Flags    placed[[]string]   `yaml:"flags" oneof:"sniff drop recv-only no-install fragments" doc:"how packets are handed over"`
}

type setSpec struct {
	Name    placed[name]            `yaml:"name,required" doc:"what conditions call it"`
	Entries placed[[]placed[entry]] `yaml:"entries" doc:"addresses, prefixes and ranges of them, or ports and ranges of them"`
	File    placed[string]          `yaml:"file" doc:"a file with more of them, one a line, below the policy's directory"`
}

type sublayerSpec struct {
	Name   placed[name] `yaml:"name,required" doc:"what filters call it"`
	Weight uint16       `yaml:"weight" default:"0" doc:"higher is asked first"`
}

type filterSpec struct {
	Name     placed[name]       `yaml:"name,required" doc:"it stands in tables, logs, metrics and explanations"`
	Layer    placed[layer]      `yaml:"layer,required" doc:"where the filter is asked"`
	Sublayer placed[string]     `yaml:"sublayer" default:"default" doc:"name of a sublayer"`
	Weight   weightNode         `yaml:"weight" default:"0" doc:"within the sublayer, higher is asked first"`
	When     placed[expression] `yaml:"when" doc:"the filter applies to packets that meet it, in WinDivert's language"`

	Conditions placed[[]placed[conditionSpec]] `yaml:"conditions" doc:"conditions of WFP; the filter applies to packets that meet them, and when"`

	Action  placed[string] `yaml:"action,required" oneof:"permit block callout" doc:"what becomes of a packet to which it applies"`
	Callout placed[string] `yaml:"callout" doc:"with action callout: which"`
	Type    placed[string] `yaml:"type" oneof:"terminating inspection unknown" default:"unknown" doc:"with action callout: whether it always decides, never, or may"`
	Hard    placed[bool]   `yaml:"hard" default:"false" doc:"the permit is final for the layer"`
	Reason  placed[string] `yaml:"reason" doc:"of a block at ale-flow-established: why letting the connection go on would be a security risk"`
}

type calloutSpec struct {
	Name   placed[name]   `yaml:"name,required" doc:"what filters call it"`
	Type   placed[string] `yaml:"type,required" doc:"which code"`
	Config configNode     `yaml:"config" doc:"by type"`
}

// rulesSpec has a key for each rule of package processor.
type rulesSpec struct {
	NeedlessCallout    string `yaml:"needless-callout" oneof:"enforce report off" default:"enforce" doc:"a callout that decides on header fields only"`
	LowLayer           string `yaml:"low-layer" oneof:"enforce report off" default:"enforce" doc:"a callout at a lower layer than what it needs"`
	BlockAtEstablished string `yaml:"block-at-established" oneof:"enforce report off" default:"enforce" doc:"a block at ale-flow-established without a reason"`
	TimeBudget         string `yaml:"time-budget" oneof:"enforce report off" default:"off" doc:"a callout that takes too long for a packet"`
	StaleChecksum      string `yaml:"stale-checksum" oneof:"enforce report off" default:"enforce" doc:"a wrong IPv4 header checksum on the receive path"`
	InlineTCP          string `yaml:"inline-tcp" oneof:"enforce report off" default:"enforce" doc:"TCP put in while a transport layer, or one above, classifies"`
	Misaligned         string `yaml:"misaligned" oneof:"enforce report off" default:"enforce" doc:"an IP header that is not pointer-aligned, on the outgoing path"`
}
