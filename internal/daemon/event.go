package daemon

import (
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// The components of the log, whose levels are set one by one.
const (
	logDaemon  = "daemon"
	logDriver  = "driver"
	logReload  = "reload"
	logControl = "control"
	logPolicy  = "policy"
	logVerdict = "verdict"
)

// LogComponents returns the components of the log.
func LogComponents() []string {
	return []string{logDaemon, logDriver, logReload, logControl, logPolicy, logVerdict}
}

// event is a kind of line in the log. Its code does not change, so that programs can wait for it; docs/operating.md has them all.
type event struct {
	code      string
	component string
	level     zapcore.Level
	text      string
}

// The kinds of lines.
var (
	evRunning  = event{"running", logDaemon, zap.InfoLevel, "running"}
	evDraining = event{"draining", logDaemon, zap.InfoLevel, "draining"}
	evStopped  = event{"stopped", logDaemon, zap.InfoLevel, "stopped"}
	evFailed   = event{"failed", logDaemon, zap.ErrorLevel, "stopped"}
	evPaused   = event{"paused", logDaemon, zap.WarnLevel, "paused: packets pass by"}
	evResumed  = event{"resumed", logDaemon, zap.InfoLevel, "resumed"}
	evNotify   = event{"notify-failed", logDaemon, zap.WarnLevel, "the service manager cannot be told"}
	evOverrun  = event{"drain-overrun", logDaemon, zap.ErrorLevel, "draining took too long: what waits is given up"}

	evDriverDied   = event{"driver-died", logDriver, zap.ErrorLevel, "the driver died; it is opened again"}
	evReopenFailed = event{"driver-reopen-failed", logDriver, zap.WarnLevel, "the driver cannot be opened again yet"}
	evReopened     = event{"driver-reopened", logDriver, zap.InfoLevel, "the driver is open again"}
	evOutputBroke  = event{"output-broke", logDriver, zap.ErrorLevel, "packets are not recorded any more"}

	evReloadApplied   = event{"reload-applied", logReload, zap.InfoLevel, "the policy was reloaded"}
	evReloadUnchanged = event{"reload-unchanged", logReload, zap.InfoLevel, "the policy was reloaded: nothing changed"}
	evReloadRefused   = event{"reload-refused", logReload, zap.ErrorLevel, "the policy in force stays: the new one is refused"}
	evWatchFailed     = event{"watch-failed", logReload, zap.WarnLevel, "a file of the policy cannot be watched"}

	evControlOpen   = event{"control-open", logControl, zap.InfoLevel, "listening"}
	evControlAbsent = event{"control-absent", logControl, zap.WarnLevel, "no control socket"}
	evControlFailed = event{"control-failed", logControl, zap.ErrorLevel, "the control API ended"}
	evControlAsked  = event{"control-asked", logControl, zap.DebugLevel, "asked"}
	evLevelChanged  = event{"log-level-changed", logControl, zap.InfoLevel, "log level changed"}

	evViolation = event{"violation", logPolicy, zap.WarnLevel, "violation"}
	evDropped   = event{"dropped", logVerdict, zap.DebugLevel, "dropped"}
)

// events are all kinds, for the documentation's test.
var events = []event{
	evRunning, evDraining, evStopped, evFailed, evPaused, evResumed, evNotify, evOverrun, evDriverDied, evReopenFailed, evReopened,
	evOutputBroke, evReloadApplied, evReloadUnchanged, evReloadRefused, evWatchFailed, evControlOpen, evControlAbsent,
	evControlFailed, evControlAsked, evLevelChanged, evViolation, evDropped,
}

// The keys of log fields.
const (
	keyCode     = "code"
	keyError    = "error"
	keyDriver   = "driver"
	keyHandle   = "handle"
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
	keyBy       = "by"
	keyAdded    = "added"
	keyRemoved  = "removed"
	keyChanged  = "changed"
	keyNotes    = "notes"
	keyFlows    = "flows"
	keyAddress  = "address"
	keyPacket   = "packet"
	keyCause    = "cause"
	keyMissed   = "missed"
	keyFile     = "file"
	keyOf       = "of"
	keyTo       = "to"
	keyTry      = "try"
	keyNext     = "next_try"
)

func componentField(name string) zap.Field {
	if name == "" {
		name = "all"
	}
	return zap.String(keyOf, name)
}

// tell writes a line. Fields are not built for a line that nobody wants; on the path of packets ask log.wants before.
func (l Log) tell(e event, fields ...zap.Field) {
	if c := l.Named(e.component).Check(e.level, e.text); c != nil {
		c.Write(append([]zap.Field{zap.String(keyCode, e.code)}, fields...)...)
	}
}

// Overrun tells that draining took too long.
func (l Log) Overrun(limit time.Duration) { l.tell(evOverrun, zap.Duration(keyDuration, limit)) }

// wants says whether lines of this kind are written.
func (l Log) wants(e event) bool { return e.level >= l.Levels.of(e.component) }
