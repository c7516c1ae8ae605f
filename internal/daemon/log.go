package daemon

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// The log formats.
const (
	FormatConsole = "console"
	FormatJSON    = "json"
)

// LogLevels returns the words for a log level, the chattiest first.
func LogLevels() []string { return []string{"debug", "info", "warn", "error"} }

// LogFormats returns the words for a log format.
func LogFormats() []string { return []string{FormatConsole, FormatJSON} }

// A line that comes again and again is written this often within a second, then one in so many.
const (
	sampleFirst = 20
	sampleThen  = 100
)

// Levels are the log levels of all components. They may be changed at any time, from any goroutine.
type Levels struct {
	by      map[string]*zap.AtomicLevel // fixed
	skipped atomic.Uint64
}

// ParseLevels reads levels as a command line gives them: one for all components, or some with names in front:
// "info", "warn,reload=debug". The error names the words that are taken.
func ParseLevels(text string) (*Levels, error) {
	l := &Levels{by: map[string]*zap.AtomicLevel{}}
	for _, c := range LogComponents() {
		at := zap.NewAtomicLevelAt(zapcore.InfoLevel)
		l.by[c] = &at
	}
	for _, word := range strings.Split(text, ",") {
		component, level, named := strings.Cut(word, "=")
		if !named {
			component, level = "", word
		}
		if err := l.Set(strings.TrimSpace(component), strings.TrimSpace(level)); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Set sets the level of a component, or of all if it is empty.
func (l *Levels) Set(component, level string) error {
	if !slices.Contains(LogLevels(), level) {
		return fmt.Errorf("unknown log level %q: want one of %s", level, strings.Join(LogLevels(), ", "))
	}
	at, err := zapcore.ParseLevel(level)
	if err != nil {
		return err
	}
	if component != "" && l.by[component] == nil {
		return fmt.Errorf("unknown log component %q: want one of %s", component, strings.Join(LogComponents(), ", "))
	}
	for name, to := range l.by {
		if component == "" || component == name {
			to.SetLevel(at)
		}
	}
	return nil
}

// All returns the level of each component.
func (l *Levels) All() map[string]string {
	all := make(map[string]string, len(l.by))
	for name, at := range maps.All(l.by) {
		all[name] = at.Level().String()
	}
	return all
}

// Skipped is how many lines were left out since the same came too often.
func (l *Levels) Skipped() uint64 { return l.skipped.Load() }

// of is the level of a component; what has no name has that of the daemon.
func (l *Levels) of(component string) zapcore.Level {
	if at := l.by[component]; at != nil {
		return at.Level()
	}
	return l.by[logDaemon].Level()
}

// Log is where the daemon writes what happens.
type Log struct {
	*zap.Logger
	Levels *Levels
}

// NewLogger returns a log that writes lines to w: "console" for people, "json" for programs. level is as ParseLevels takes it. The
// error names the words that are taken.
func NewLogger(w io.Writer, level, format string) (Log, error) {
	levels, err := ParseLevels(level)
	if err != nil {
		return Log{}, err
	}
	enc, err := newEncoder(format)
	if err != nil {
		return Log{}, err
	}
	core := zapcore.NewCore(enc, zapcore.Lock(zapcore.AddSync(w)), zapcore.DebugLevel)
	core = zapcore.NewSamplerWithOptions(core, time.Second, sampleFirst, sampleThen, zapcore.SamplerHook(levels.sampled))
	return Log{zap.New(&byComponent{core, levels}), levels}, nil
}

// NoLog returns a log that goes nowhere.
func NoLog() Log {
	l, _ := ParseLevels("error")
	return Log{zap.NewNop(), l}
}

func (l *Levels) sampled(_ zapcore.Entry, d zapcore.SamplingDecision) {
	if d&zapcore.LogDropped != 0 {
		l.skipped.Add(1)
	}
}

// byComponent asks the level of an entry's component, which is its logger's name.
type byComponent struct {
	zapcore.Core
	levels *Levels
}

func (c *byComponent) With(fields []zapcore.Field) zapcore.Core {
	return &byComponent{c.Core.With(fields), c.levels}
}

func (c *byComponent) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if e.Level < c.levels.of(e.LoggerName) {
		return to
	}
	return c.Core.Check(e, to)
}

func newEncoder(format string) (zapcore.Encoder, error) {
	c := zap.NewProductionEncoderConfig()
	c.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	c.EncodeDuration = zapcore.StringDurationEncoder
	c.TimeKey = "time"
	c.NameKey = "component"
	switch format {
	case FormatConsole:
		c.EncodeLevel = zapcore.CapitalLevelEncoder
		c.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		c.ConsoleSeparator = "  "
		return zapcore.NewConsoleEncoder(c), nil
	case FormatJSON:
		return zapcore.NewJSONEncoder(c), nil
	}
	return nil, fmt.Errorf("unknown log format %q: want one of %s", format, strings.Join(LogFormats(), ", "))
}
