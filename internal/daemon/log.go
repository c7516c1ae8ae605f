package daemon

import (
	"fmt"
	"io"
	"slices"
	"strings"

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

// The keys of log fields.
const (
	keyDriver   = "driver"
	keyHandles  = "handles"
	keyFilters  = "filters"
	keyReceived = "received"
	keyPassed   = "passed"
	keyDropped  = "dropped"
	keyDuration = "duration"
	keyWhy      = "why"
	keyRule     = "rule"
	keyLayer    = "layer"
	keyCallout  = "callout"
	keyFilter   = "filter"
	keyDetail   = "detail"
	keyRemedy   = "remedy"
)

// NewLogger returns a logger that writes lines to w: "console" for people, "json" for programs. The error names the words that
// are taken.
func NewLogger(w io.Writer, level, format string) (*zap.Logger, error) {
	if !slices.Contains(LogLevels(), level) {
		return nil, fmt.Errorf("unknown log level %q: want one of %s", level, strings.Join(LogLevels(), ", "))
	}
	at, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, err
	}
	enc, err := newEncoder(format)
	if err != nil {
		return nil, err
	}
	return zap.New(zapcore.NewCore(enc, zapcore.Lock(zapcore.AddSync(w)), at)), nil
}

func newEncoder(format string) (zapcore.Encoder, error) {
	c := zap.NewProductionEncoderConfig()
	c.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	c.EncodeDuration = zapcore.StringDurationEncoder
	c.TimeKey = "time"
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
