package archtest

import "slices"

// A room is a folder and what its code may import. Rooms are listed in the order of the arrows: none may import one that
// stands after it. Tests are freer: they may import every room that stands before their own, and those inside its folder.
// A folder ending in /... stands for all folders below it, unless one of them is listed itself.
type room struct {
	dir     string
	may     []string // folders of this project; a group stands for its folders
	modules []string // modules of others, by path; in every room: std
	why     string
}

// What the folders above the seam need of it: the seam itself and the vocabulary below it.
var seam = []string{"divertdrv", "divertdrv/addr", "divertdrv/filter", "divertdrv/filter/set", "divertdrv/reason", "divertdrv/wire", "internal/clock"}

// Above injection, packets are judged, put back and answered.
var injection = join(seam, "inject", "inject/craft", "inject/dpc")

const (
	gopacket  = "github.com/google/gopacket"
	divertGo  = "github.com/imgk/divert-go"
	zap       = "go.uber.org/zap"
	cobra     = "github.com/spf13/cobra"
	pflag     = "github.com/spf13/pflag"
	goyaml    = "github.com/goccy/go-yaml"
	progress  = "github.com/schollz/progressbar/v3"
	ebpf      = "github.com/cilium/ebpf"
	xsys      = "golang.org/x/sys"
	xterm     = "golang.org/x/term"
	rapid     = "pgregory.net/rapid"
	goleak    = "go.uber.org/goleak"
	gvisor    = "gvisor.dev/gvisor"
	schema    = "github.com/santhosh-tekuri/jsonschema/v6"
	histogram = "github.com/HdrHistogram/hdrhistogram-go"
	metrics   = "github.com/prometheus/client_golang"
	charm     = "github.com/charmbracelet"
	winio     = "github.com/Microsoft/go-winio"
	xtime     = "golang.org/x/time"
)

var rooms = []room{
	{dir: "internal/clock", why: "a leaf: whoever waits can be given a virtual clock, so it must not depend on who waits"},
	{dir: "internal/netns", modules: []string{xsys}, why: "a leaf: it moves a thread, and knows nothing of what runs there"},
	{
		dir: "internal/netlink", may: []string{"internal/netns"}, modules: []string{xsys},
		why: "a leaf but for where its socket is opened: it carries messages whose meaning is their owner's",
	},
	{
		dir: "internal/links", may: []string{"internal/netlink"}, modules: []string{xsys},
		why: "it makes devices, addresses and routes in a namespace for tests and measurements; what they are for is its caller's",
	},
	{
		dir: "internal/nettest", may: []string{"internal/links", "internal/netlink", "internal/netns"}, modules: []string{xsys},
		why: "the tests of every room may ask it for namespaces and traffic, so it knows none of them",
	},
	{
		dir: "internal/netstack", may: []string{"internal/clock"}, modules: []string{gvisor},
		why: "a TCP to test with: it knows bytes and time, so the tests of every room may ask it for connections",
	},
	{
		dir: "internal/authenticode", modules: []string{xsys},
		why: "a leaf: it judges the bytes of a file, so whoever loads a driver may ask it (docs/adr/0013)",
	},
	{dir: "divertdrv/wire", why: "a leaf: embedders read headers with it, and it must stay free of everything else"},
	{dir: "divertdrv/addr", why: "a leaf: 80 bytes with a layout that kernels know"},
	{dir: "divertdrv/reason", why: "a leaf: one vocabulary for every room, so it belongs to none"},
	{
		dir: "divertdrv/frag", may: []string{"divertdrv/wire"},
		why: "it cuts and joins bytes; drivers and injection share it, so it knows neither (docs/adr/0004)",
	},
	{
		dir: "divertdrv/internal/flows", may: []string{"divertdrv/wire", "divertdrv/addr"},
		why: "it tells flows from packets, for drivers whose platform does not; it knows no handle",
	},
	{dir: "divertdrv/filter/set", why: "addresses and ports in order; it knows no packet"},
	{
		dir: "divertdrv/filter", may: []string{"divertdrv/wire", "divertdrv/addr"},
		why: "a filter is text and a program over headers and an address; it knows no handle, so tools can use it alone",
	},
	{
		dir: "divertdrv/filter/lower", may: []string{"divertdrv/wire", "divertdrv/addr", "divertdrv/filter"}, modules: []string{ebpf},
		why: "it writes instructions and loads none, so every platform can say what a filter becomes",
	},
	{
		dir: "divertdrv", may: []string{"divertdrv/wire", "divertdrv/addr", "divertdrv/reason", "divertdrv/filter", "internal/clock"},
		why: "the seam knows no driver: drivers are given to it, or register themselves",
	},
	{
		dir: "divertdrv/internal/stack", may: join(seam, "divertdrv/frag"),
		why: "the in-memory stack of priorities and queues under the drivers that have no kernel",
	},
	{
		dir: "divertdrv/drvtest", may: seam, modules: []string{rapid, goleak},
		why: "one suite for every driver: it sees them through the seam only",
	},
	{
		dir: "divertdrv/simdrv", may: join(seam, "divertdrv/frag", "divertdrv/internal/flows", "divertdrv/internal/stack"),
		why: "a driver stands below injection and processing",
	},
	{
		dir: "divertdrv/simdrv/simtest", may: join(seam, "divertdrv/drvtest", "divertdrv/simdrv"),
		why: "the simulator as the suite sees it, for the tests of whatever stands around a driver",
	},
	{
		dir: "divertdrv/proc", may: join(seam, "internal/netlink", "internal/netns"), modules: []string{xsys},
		why: "drivers ask it who owns a flow; it asks no driver, but for events through the seam",
	},
	{dir: "divertdrv/drvtest/mutants", may: join(seam, "divertdrv/drvtest"), why: "tests only: drivers that break the contract, for the suite to catch"},
	{
		dir: "divertdrv/pcapdrv", may: join(seam, "divertdrv/internal/flows", "divertdrv/internal/stack"), modules: []string{gopacket},
		why: "a driver stands below injection and processing; capture files are read and written here only",
	},
	{
		dir:     "divertdrv/nfqdrv/...",
		may:     join(seam, "divertdrv/filter/lower", "divertdrv/frag", "divertdrv/internal/flows", "divertdrv/proc", "internal/netlink", "internal/netns"),
		modules: []string{xsys, ebpf},
		why:     "a driver stands below injection and processing",
	},
	{
		dir: "internal/driverlife", may: join(seam, "internal/authenticode"), modules: []string{xsys},
		why: "it looks after a service; who uses the driver it asks through the seam",
	},
	{
		dir: "divertdrv/windrv/...", may: join(seam, "divertdrv/proc", "internal/authenticode", "internal/driverlife"), modules: []string{divertGo, xsys},
		why: "a driver stands below injection and processing; the only room with code under the GPL-3.0",
	},
	{
		dir: "divertdrv/native", may: []string{"divertdrv", "divertdrv/nfqdrv", "divertdrv/windrv"},
		why: "it links the platform's own driver and does nothing else",
	},

	{dir: "inject/dpc", why: "a leaf: deferred calls know nothing of packets"},
	{dir: "inject/craft", may: seam, why: "it builds bytes; who sends them is not its business"},
	{
		dir: "inject", may: join(seam, "divertdrv/frag", "inject/craft", "inject/dpc"),
		why: "it knows packets and handles, not policies",
	},

	{dir: "processor/internal/naive", why: "the reference that the processor is tested against: sharing nothing is its worth"},
	{dir: "processor", may: injection, why: "it classifies; it knows no driver, no policy file and no callout by name"},
	{dir: "processor/stream", may: []string{"divertdrv/wire"}, why: "it reads packets; where they come from, and what becomes of them, is not its business"},
	{
		dir: "processor/callouts/tap", may: join(injection, "processor", "divertdrv/pcapdrv"),
		why: "a callout that records: pcapdrv has the one writer of capture files",
	},
	{dir: "processor/callouts/...", may: join(injection, "processor"), why: "callouts use what every embedder's callouts can use"},
	{
		dir: "processor/policy", may: join(seam, "processor"), modules: []string{goyaml},
		why: "the file's words become the processor's; the program says which callouts there are",
	},

	{
		dir: "internal/simulation", may: join(injection, "divertdrv/simdrv", "processor"),
		why: "it runs whole lives of drivers, injectors and processors by a seed; nothing imports it",
	},

	{dir: "internal/doctor", may: []string{everything}, modules: []string{xsys, ebpf}, why: "it tries what the platform can do"},
	{dir: "internal/service", modules: []string{xsys}, why: "it speaks with the system's service manager, and knows of weir its name and its command only"},
	{
		dir: "internal/control", may: join(injection, "processor", "divertdrv/pcapdrv"), modules: []string{winio, xsys, xtime},
		why: "it carries what a daemon says to whoever asks; the daemon is behind an interface, so the commands link no driver for it",
	},
	{
		dir: "internal/top", may: join(injection, "processor", "divertdrv/pcapdrv", "internal/control"), modules: []string{charm},
		why: "it shows what the control API says, and knows a daemon by nothing else",
	},
	{dir: "internal/daemon", may: []string{everything}, modules: []string{zap, metrics, xsys, xtime}, why: "the daemon's wiring: it logs and exports metrics"},
	{dir: "bench/...", may: []string{everything}, modules: []string{histogram, gopacket, xsys}, why: "it measures what embedders use"},
	{
		dir: "cmd/weir/...", may: []string{everything, "bench/..."}, modules: []string{cobra, pflag, zap, progress, xterm, xsys, gopacket, charm},
		why: "the program: everything is wired here, so nothing may import it",
	},
	{
		dir: "internal/livetest", may: []string{everything}, modules: []string{xsys}, why: "tests only: real programs beside the whole program",
	},
	{
		dir: "examples/...", may: []string{exported}, why: "they show what an embedder can do, and an embedder cannot import internal packages",
	},
	{dir: "internal/archtest", why: "it reads source, and imports none of it"},
}

// What stands for many rooms: every one but the programs, and those of them that another module can import.
const (
	everything = "*"
	exported   = "* but internal"
)

// witnesses may be imported by the tests of every room: other people's implementations to be measured by.
var witnesses = []string{rapid, goleak, gvisor, gopacket, schema}

// A guard keeps a package to some rooms, whatever the rooms' own lines allow.
type guard struct {
	pkg   string // a package of std or of this project, or a module
	rooms []string
	tests bool // tests elsewhere are free
	why   string
}

var guards = []guard{
	{
		pkg: divertGo, rooms: []string{"divertdrv/windrv/..."},
		why: "it is under the GPL-3.0: only the binary that must link it should, see NOTICE",
	},
	{
		pkg: module + "/divertdrv/windrv", rooms: []string{"cmd/weir/...", "divertdrv/native", "divertdrv/windrv/...", "internal/daemon"},
		why: "whoever links it conveys a GPL-3.0 binary, which an embedder must choose, see NOTICE",
	},
	{
		pkg: module + "/divertdrv/internal/stack", rooms: []string{"divertdrv/internal/stack", "divertdrv/simdrv", "divertdrv/pcapdrv"},
		why: "the stack is a detail of two drivers; others see it through the seam",
	},
	{
		pkg: zap, rooms: []string{"cmd/weir/...", "internal/daemon"},
		why: "libraries return errors and Stats; only the program logs",
	},
	{
		pkg: "log", rooms: []string{"examples/...", "internal/control"}, tests: true, // log/slog too
		why: "libraries return errors and Stats; the program logs through zap, and net/http is silenced by a logger of this kind",
	},
	{
		pkg: gvisor, rooms: []string{"internal/netstack"}, tests: true,
		why: "it is a witness, and a large one to link",
	},
	{
		pkg: module + "/internal/netstack", tests: true,
		why: "it links gvisor, which is a witness and large",
	},
}

// banned names say nothing about what a package does, so everything ends up in it.
var banned = []string{"util", "utils", "common", "helpers", "helper", "types", "misc", "base", "shared"}

func join(group []string, more ...string) []string { return slices.Concat(group, more) }
