package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/weirnet/weir/internal/control"
)

// Console is what a session has around it when it runs as a daemon: the control API, metrics, a PID file, a look at the policy's
// files, signals to reload, and a word to the service manager.
type Console struct {
	Control  string           // address of the control socket; empty: none
	Optional bool             // of Control: if somebody listens there already, go on without
	TCP      string           // HOST:PORT of the control API on TCP, with Token; empty: none
	Token    string           // of TCP
	Metrics  string           // HOST:PORT, on loopback, of metrics alone, without a token; empty: none
	PIDFile  string           // empty: none
	Watch    time.Duration    // how often the policy's files are looked at; 0: never
	Reload   <-chan os.Signal // each asks for a reload
}

// running is a console at work.
type running struct {
	s       *Session
	log     Log
	servers []*control.Server
	pid     *PIDFile
	end     context.CancelFunc
	under   sync.WaitGroup
}

// Start starts what the console is asked for, before Session.Run. The error says what cannot be had, and then nothing is left
// behind. end ends it, and is to be called after Session.Run.
func (c *Console) Start(s *Session) (end func(), err error) {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{s: s, log: s.log, end: cancel}
	if err := c.start(ctx, r); err != nil {
		r.stop()
		return nil, err
	}
	s.ready = r.ready
	return r.stop, nil
}

func (c *Console) start(ctx context.Context, r *running) (err error) {
	if c.PIDFile != "" {
		if r.pid, err = WritePIDFile(c.PIDFile); err != nil {
			return err
		}
	}
	if err := c.listen(r); err != nil {
		return err
	}
	if c.Reload != nil {
		r.under.Go(func() { r.reloadOn(ctx, c.Reload) })
	}
	if c.Watch > 0 {
		r.under.Go(func() { r.watchFiles(ctx, c.Watch) })
	}
	if every := watchdogEvery(); every > 0 {
		r.under.Go(func() { r.beat(ctx, every) })
	}
	context.AfterFunc(r.s.ending, func() { r.notify(notifyStopping) })
	return nil
}

// listen opens every listener that is asked for.
func (c *Console) listen(r *running) error {
	metrics := r.s.metricsHandler()
	if c.Control != "" {
		l, err := control.Listen(c.Control)
		switch {
		case err != nil && c.Optional:
			r.log.tell(evControlAbsent, zap.String(keyAddress, c.Control), zap.String(keyError, oneLine(err)))
		case err != nil:
			return err
		default:
			server := r.serve(l, c.Control, control.Config{Daemon: r.s, Metrics: metrics, Asked: r.asked})
			r.s.served.Store(server.Counters())
		}
	}
	if c.TCP != "" {
		if len(c.Token) < tokenMin {
			return fmt.Errorf("the control API on TCP needs a token of at least %d characters, since everybody on this host can reach it", tokenMin)
		}
		l, err := control.ListenTCP(c.TCP)
		if err != nil {
			return err
		}
		server := r.serve(l, l.Addr().String(), control.Config{Daemon: r.s, Metrics: metrics, Token: c.Token, Asked: r.asked})
		if r.s.served.Load() == nil {
			r.s.served.Store(server.Counters())
		}
	}
	if c.Metrics != "" {
		l, err := control.ListenLoopback(c.Metrics)
		if err != nil {
			return err
		}
		r.serve(l, l.Addr().String(), control.Config{Metrics: metrics, Asked: r.asked})
	}
	return nil
}

// tokenMin is the least length of a token.
const tokenMin = 16

// ReadToken reads a token from a file: its first line.
func ReadToken(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	token, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(token), nil
}

func (r *running) serve(l net.Listener, at string, cfg control.Config) *control.Server {
	server := control.NewServer(cfg)
	r.servers = append(r.servers, server)
	r.log.tell(evControlOpen, zap.String(keyAddress, at))
	r.under.Go(func() {
		if err := server.Serve(l); err != nil {
			r.log.tell(evControlFailed, zap.String(keyAddress, at), zap.String(keyError, oneLine(err)))
		}
	})
	return server
}

func (r *running) asked(method, path string, status int, took time.Duration) {
	r.log.tell(evControlAsked, zap.String("method", method), zap.String("path", path), zap.Int("status", status), zap.Duration(keyDuration, took))
}

// stop ends all that was started, in the opposite order.
func (r *running) stop() {
	r.end()
	for _, s := range r.servers {
		_ = s.Close() // requests that do not end are given up
	}
	r.under.Wait()
	if r.pid != nil {
		if err := r.pid.Remove(); err != nil {
			r.log.tell(evNotify, zap.String(keyError, oneLine(err)))
		}
	}
}

func (r *running) ready() { r.notify(notifyReady) }

func (r *running) notify(state string) {
	if err := notify(state); err != nil {
		r.log.tell(evNotify, zap.String(keyError, oneLine(err)))
	}
}

// beat tells the service manager that the daemon is alive, as long as it is: a lock that is never given up ends that too.
func (r *running) beat(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.s.proc.Adopt() // every worker ends a batch
			r.notify(notifyAlive)
		}
	}
}

// reloadOn reloads for each signal.
func (r *running) reloadOn(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			r.reload(ctx, BySignal)
		}
	}
}

// reload tells the service manager, if there is one, that what it sees is a reload.
func (r *running) reload(ctx context.Context, by string) {
	r.notify(notifyReloading())
	_, err := r.s.Reload(ctx, by)
	if err != nil && !errors.Is(err, context.Canceled) {
		r.log.tell(evReloadRefused, zap.String(keyBy, by), zap.String(keyError, oneLine(err)))
	}
	r.notify(notifyReady)
}
