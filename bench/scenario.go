package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Scenario is a piece of work that is measured.
type Scenario struct {
	Name  string // one word, as on the command line
	About string // one sentence
	Op    string // what one operation is: "one packet parsed"
	Cases []Case
	By    string // name of the Metric that variants are compared by; "": CPU time for each operation

	// Settings of the run; zero values stand for defaults.
	Settings Settings
	// Unable is why the whole scenario cannot run here; nil if it can.
	Unable error
}

// Settings bound a run. Its time is about Runs × Time × variants of all cases, and starting them.
type Settings struct {
	Seed  uint64        // of everything that is random. 0: 1
	Runs  int           // rounds that count, 1 to RunsMax; one more warms up. 0: 10
	Time  time.Duration // of one run of one variant, TimeMin to TimeMax. 0: 20 ms
	Procs int           // GOMAXPROCS while a variant runs. 0: as it is
	Max   time.Duration // of the whole scenario; then it ends after the round that it is in. 0: no bound

	Pprof string               // a folder: one more run of each variant writes its profiles there. "": none
	Tell  func(message string) // is told what is being done; nil: nobody. Must not block
}

// What Settings are bound by.
const (
	RunsMax = 1000
	TimeMin = 10 * time.Microsecond
	TimeMax = 10 * time.Minute
)

func (s *Settings) complete() error {
	if s.Seed == 0 {
		s.Seed = 1
	}
	if s.Runs == 0 {
		s.Runs = 10
	}
	if s.Time == 0 {
		s.Time = 20 * time.Millisecond
	}
	if s.Tell == nil {
		s.Tell = func(string) {}
	}
	if s.Runs < 1 || s.Runs > RunsMax || s.Time < TimeMin || s.Time > TimeMax || s.Procs < 0 || s.Max < 0 {
		return fmt.Errorf("runs %d (1 to %d), time %v (%v to %v), procs %d and max %v (0 or more)", s.Runs, RunsMax, s.Time, TimeMin, TimeMax, s.Procs, s.Max)
	}
	return nil
}

// Case is a scenario with its parameters set. Its variants do the same work.
type Case struct {
	Params   Params
	Variants []Variant // the first is what others are compared with
	By       string    // as Scenario.By, for this case; "": the scenario's
}

// Param is a parameter of a case.
type Param struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Params are those of a case, in the order in which they are shown.
type Params []Param

// Get returns a parameter's value, "" where there is none.
func (p Params) Get(name string) string {
	for _, x := range p {
		if x.Name == name {
			return x.Value
		}
	}
	return ""
}

// String is as in names of Go's benchmarks: "size=60/rules=1".
func (p Params) String() string {
	words := make([]string, len(p))
	for i, x := range p {
		words[i] = x.Name + "=" + x.Value
	}
	return strings.Join(words, "/")
}

// Has says whether all of words ("size=60/rules=1") are among the parameters; an empty text is.
func (p Params) Has(words string) bool {
	if words == "" {
		return true
	}
	for w := range strings.SplitSeq(words, "/") {
		name, value, _ := strings.Cut(w, "=")
		if !slices.Contains(p, Param{name, value}) {
			return false
		}
	}
	return true
}

// P makes Params of names and values that take turns.
func P(namesAndValues ...any) (p Params) {
	for i := 0; i+1 < len(namesAndValues); i += 2 {
		p = append(p, Param{fmt.Sprint(namesAndValues[i]), fmt.Sprint(namesAndValues[i+1])})
	}
	return p
}

// Variant is one way to do a case's work.
type Variant struct {
	Name  string
	Peer  bool   // not Weir's
	About string // what it is, with its version; "" where the name says it

	// Start makes everything ready; it is not measured. Unable says why it cannot run here.
	Start func(ctx context.Context, env Env) (Trial, error)
}

// Env is what a variant is started with.
type Env struct {
	Params Params
	Seed   uint64
}

// Trial is a variant that is ready to run.
type Trial struct {
	// Run does the work for about d, and is called again and again, never twice at a time.
	Run func(ctx context.Context, d time.Duration) (Sample, error)
	// Close ends it; nil if there is nothing to end.
	Close func() error
	// Digest is what the work found: the same for all variants of a case that do the same. "": it does not say.
	Digest string

	elsewhere bool // in another program
}

// Unable is the error of a variant or a scenario that cannot run here.
type Unable struct {
	Why string // and what would help
}

func (e *Unable) Error() string { return "cannot run here: " + e.Why }

// Unablef returns an Unable.
func Unablef(format string, args ...any) error { return &Unable{fmt.Sprintf(format, args...)} }

// whyUnable returns the reason if err is an Unable.
func whyUnable(err error) (string, bool) {
	var u *Unable
	if errors.As(err, &u) {
		return u.Why, true
	}
	return "", false
}
