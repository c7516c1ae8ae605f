package policy

// The file as its keys say it. docs/policy.md explains each; a test compares the two.

type document struct {
	Version   placed[uint]           `yaml:"version,required"`
	Driver    placed[driverSpec]     `yaml:"driver"`
	Handles   placed[[]handleSpec]   `yaml:"handles"`
	Sublayers []placed[sublayerSpec] `yaml:"sublayers"`
	Filters   []placed[filterSpec]   `yaml:"filters"`
	Callouts  []placed[calloutSpec]  `yaml:"callouts"`
	Rules     rulesSpec              `yaml:"rules"`
}

type driverSpec struct {
	Backend string           `yaml:"backend,required" oneof:"auto windivert nfqueue sim pcap"`
	Read    placed[string]   `yaml:"read"`
	Write   placed[string]   `yaml:"write"`
	Local   placed[[]prefix] `yaml:"local"`
	Packets placed[int]      `yaml:"packets" min:"0" max:"1000000000"`
	Seed    placed[uint64]   `yaml:"seed"`

	Namespace  placed[string]   `yaml:"namespace"`
	FailClosed placed[bool]     `yaml:"fail-closed"`
	Spin       placed[duration] `yaml:"spin"`
}

type handleSpec struct {
	Layer    string             `yaml:"layer,required" oneof:"network forward"`
	Filter   placed[expression] `yaml:"filter"`
	Priority int16              `yaml:"priority" min:"-30000" max:"30000"`
	Flags    placed[[]string]   `yaml:"flags" oneof:"sniff drop recv-only no-install fragments"`
}

type sublayerSpec struct {
	Name   placed[name] `yaml:"name,required"`
	Weight uint16       `yaml:"weight"`
}

type filterSpec struct {
	Name     placed[name]       `yaml:"name,required"`
	Layer    placed[layer]      `yaml:"layer,required"`
	Sublayer placed[string]     `yaml:"sublayer"`
	Weight   weightNode         `yaml:"weight"`
	When     placed[expression] `yaml:"when"`

	Conditions placed[[]placed[conditionSpec]] `yaml:"conditions"`

	Action  placed[string] `yaml:"action,required" oneof:"permit block callout"`
	Callout placed[string] `yaml:"callout"`
	Type    placed[string] `yaml:"type" oneof:"terminating inspection unknown"`
	Hard    placed[bool]   `yaml:"hard"`
	Reason  placed[string] `yaml:"reason"`
}

type calloutSpec struct {
	Name   placed[name]   `yaml:"name,required"`
	Type   placed[string] `yaml:"type,required"`
	Config configNode     `yaml:"config"`
}

// rulesSpec has a key for each rule of package processor.
type rulesSpec struct {
	NeedlessCallout    string `yaml:"needless-callout" oneof:"enforce report off"`
	LowLayer           string `yaml:"low-layer" oneof:"enforce report off"`
	BlockAtEstablished string `yaml:"block-at-established" oneof:"enforce report off"`
	TimeBudget         string `yaml:"time-budget" oneof:"enforce report off"`
	StaleChecksum      string `yaml:"stale-checksum" oneof:"enforce report off"`
	InlineTCP          string `yaml:"inline-tcp" oneof:"enforce report off"`
	Misaligned         string `yaml:"misaligned" oneof:"enforce report off"`
}
