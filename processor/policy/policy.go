package policy

import (
	"fmt"
	"net/netip"
	"reflect"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter/set"
	"github.com/weirnet/weir/processor"
)

// Bounds of a policy file, besides processor.FiltersMax.
const (
	SizeMax      = 4 << 20 // bytes
	SublayersMax = 4096
	SetsMax      = 256
	SetFilesSize = 64 << 20 // bytes, of all set files together
	CalloutsMax  = 1024
	HandlesMax   = 64
)

// Factory makes a callout of one type for the name that the policy gives it. decode fills a struct from the callout's config, by
// tags as encoding packages have them: `yaml:"ttl"`, `yaml:"to,required"`, `min:"1" max:"255"`, `oneof:"a b"`, and
// `path:"read"` or `path:"write"` for a path, which then is taken from the directory of the policy. When it fails it has reported where, and the factory just returns its error; any other error is reported at the config.
type Factory = func(name string, decode func(into any) error) (processor.Callout, error)

// Options of Parse and Load. The zero value knows no callouts.
type Options struct {
	Factories map[string]Factory // by type; callouts.Factories() returns those that ship
	WriteDirs []string           // directories that the policy may write to, beside its own
}

// File is a policy file that was read without an error.
type File struct {
	Name      string // as it was given to Parse
	Version   int
	Driver    Driver
	Handles   []Handle // never empty: those of the file, or those that its filters need
	Sets      []Set
	Sublayers []Sublayer
	Filters   []Filter
	Callouts  []Callout
	Rules     processor.Rules   // what is done about breaches of the considerations
	Policy    *processor.Policy // compiled from the above

	Files []string // all that were read: Name, and what it includes

	explicit bool      // the file lists its handles
	document *document // as it was written, with what it includes
}

// Place is where a file of a policy defines something. Line and Column count from 1, columns in characters.
type Place struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

func placeOf(n *node) Place { return Place{n.src.name, n.line, n.column} }

// seenFrom names the place for a reader of another one.
func (p Place) seenFrom(from Place) string {
	if p.File == from.File {
		return fmt.Sprintf("line %d", p.Line)
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Driver says where packets come from. Read and Write are paths, taken from the directory of the policy where they are relative.
type Driver struct {
	Backend string         // auto, windivert, nfqueue, sim or pcap; empty: the file does not say
	Read    string         // pcap: the capture to read
	Write   string         // pcap, sim and nfqueue: the pcapng file for what passes and is injected
	Local   []netip.Prefix // pcap: addresses of the local host, which tell outbound packets from inbound ones
	Packets int            // sim: packets of generated traffic; 0: without end
	Seed    uint64         // sim: of the generated traffic

	Namespace  string        // nfqueue: path of the network namespace to divert in; empty: the program's
	FailClosed bool          // nfqueue: packets that match are dropped while no program reads them
	Spin       time.Duration // nfqueue: how long a reader asks before it sleeps, 0 to SpinMax
}

// SpinMax bounds Driver.Spin. It is the driver's own bound.
const SpinMax = 10 * time.Millisecond

// What the simulator is asked for unless the policy says otherwise.
const (
	PacketsDefault = 10_000
	SeedDefault    = 1
)

// Handle is a handle to open: the layer is that of its filter.
type Handle struct {
	Filter   *divertdrv.Filter
	Priority int16
	Flags    divertdrv.Flags
}

// Set is a named set and where the file defines it.
type Set struct {
	Name string
	*set.Set
	Place
}

// Sublayer is a sublayer and where the file defines it.
type Sublayer struct {
	processor.Sublayer
	Place
}

// Filter is a filter and where the file defines it.
type Filter struct {
	processor.Filter
	Place

	conditions [][]processor.Condition // runs between those on sets, which part them
}

// Callout is a named instance of a callout type and where the file defines it.
type Callout struct {
	processor.Callout
	Type string
	Place

	config reflect.Type // what its factory decodes; nil: nothing
}
