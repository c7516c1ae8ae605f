package policy

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/processor"
)

// Bounds of a policy file, besides processor.FiltersMax.
const (
	SizeMax      = 4 << 20 // bytes
	SublayersMax = 4096
	CalloutsMax  = 1024
	HandlesMax   = 64
)

// Factory makes a callout of one type for the name that the policy gives it. decode fills a struct from the callout's config, by
// tags as encoding packages have them: `yaml:"ttl"`, `yaml:"to,required"`, `min:"1" max:"255"`, `oneof:"a b"`, and
// `path:"file"` for a path, which then is taken from the directory of the policy. When it fails it has reported where, and the factory just returns its error; any other error is reported at the config.
type Factory = func(name string, decode func(into any) error) (processor.Callout, error)

// Options of Parse and Load. The zero value knows no callouts.
type Options struct {
	Factories map[string]Factory // by type; callouts.Factories() returns those that ship
}

// File is a policy file that was read without an error.
type File struct {
	Name      string // as it was given to Parse
	Version   int
	Driver    Driver
	Handles   []Handle // never empty: those of the file, or those that its filters need
	Sublayers []Sublayer
	Filters   []Filter
	Callouts  []Callout
	Rules     processor.Rules   // what is done about breaches of the considerations
	Policy    *processor.Policy // compiled from the above

	explicit bool // the file lists its handles
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

// Sublayer is a sublayer and where the file defines it.
type Sublayer struct {
	processor.Sublayer
	Line, Column int
}

// Filter is a filter and where the file defines it.
type Filter struct {
	processor.Filter
	Line, Column int

	conditions []processor.Condition
}

// Callout is a named instance of a callout type and where the file defines it.
type Callout struct {
	processor.Callout
	Type         string
	Line, Column int
}

// Load reads the file at path. The error is *Errors, or what the system says of the path.
func Load(path string, opts Options) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, SizeMax+1))
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return Parse(path, src, opts)
}

// Parse reads a policy. name is for errors, and its directory is where relative paths start. The error is *Errors. Callouts are
// made by their factories; nothing else outside of memory is touched.
func Parse(name string, src []byte, opts Options) (*File, error) {
	p := &problems{file: name}
	if len(src) > SizeMax {
		p.add(0, 0, "larger than %d MiB; split it, or let fewer filters do the work", SizeMax>>20)
		return nil, p.err()
	}
	if checkText(src, p); len(p.list) > 0 {
		return nil, p.err()
	}
	root, err := parseTree(string(src))
	if err != nil {
		var s *syntaxError
		if errors.As(err, &s) {
			p.add(s.line, s.column, "%s", s.msg)
		}
		return nil, p.err()
	}
	d := &decoder{problems: p, plans: map[reflect.Type]*plan{}}
	doc := document{Version: placed[uint]{V: versionKnown}}
	d.decode(root, reflect.ValueOf(&doc).Elem(), limits{})
	f := build(d, &doc, string(src), opts)
	if err := p.err(); err != nil {
		return nil, err
	}
	return f, nil
}

// relative takes a path of the policy from the policy's directory.
func relative(policy, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(policy), path)
}
