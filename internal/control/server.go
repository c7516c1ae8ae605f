package control

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirnet/weir/divertdrv/pcapdrv"
	"github.com/weirnet/weir/processor"
)

// Daemon is what the server asks. Its methods may be called from any goroutine. An error that is an *Error is answered as it is.
type Daemon interface {
	Status() Status
	ControlStats() Stats
	Flows(q FlowQuery) (Flows, error)
	Filters() Filters
	Explain(r *ExplainRequest) (*processor.Explanation, error)
	Reload(ctx context.Context, by string) (ReloadResult, error)
	LogLevels() LogLevels
	SetLogLevel(l LogLevel) error
	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
	Trace(q TraceQuery) (*Feed[*Trace], error)
	Dump(q TraceQuery) (*Feed[pcapdrv.Record], error)
}

// Feed is a subscription.
type Feed[T any] struct {
	C     <-chan T
	Over  <-chan struct{} // closed when the daemon ends
	Close func()
	Took  func(T) // called for what was taken from C; may be nil
}

// Config of a server.
type Config struct {
	Daemon  Daemon       // nil: metrics only
	Metrics http.Handler // nil: none
	Token   string       // wanted of every request; empty: none
	// Asked is told of every request that was answered; nil: nobody is. It must not block.
	Asked func(method, path string, status int, took time.Duration)
}

// Server answers requests. It may serve several listeners.
type Server struct {
	cfg   Config
	paces paces
	http  http.Server
	stats Counters
}

// Counters count what a server did.
type Counters struct {
	Requests, Refused atomic.Uint64 // all, and of those, those for which there was no room or no right
	Connections       atomic.Int64  // now
	Overflow          atomic.Uint64 // connections that were closed at once, since there were too many
}

// NewServer returns a server. It does nothing before Serve.
func NewServer(cfg Config) *Server {
	s := &Server{cfg: cfg, paces: newPaces()}
	s.http = http.Server{
		Handler: s, ReadTimeout: readTimeout, ReadHeaderTimeout: readTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: HeaderMax,
		ErrorLog: quiet(),
	}
	return s
}

// Counters are the server's own.
func (s *Server) Counters() *Counters { return &s.stats }

// Serve answers on l until Close, and closes l. It returns nil then.
func (s *Server) Serve(l net.Listener) error {
	err := s.http.Serve(&bounded{Listener: l, stats: &s.stats})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Close ends the server: requests at hand get a moment to end.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.http.Shutdown(ctx); err == nil {
		return nil
	}
	return s.http.Close()
}

// bounded closes connections at once that are more than ConnectionsMax.
type bounded struct {
	net.Listener
	stats *Counters
}

func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if b.stats.Connections.Add(1) <= ConnectionsMax {
			return &counted{Conn: c, stats: b.stats}, nil
		}
		b.stats.Connections.Add(-1)
		b.stats.Overflow.Add(1)
		_ = c.Close() // it was never used
	}
}

type counted struct {
	net.Conn
	stats *Counters
	once  sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.stats.Connections.Add(-1) })
	return c.Conn.Close()
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	a := &answer{ResponseWriter: w, status: http.StatusOK}
	s.stats.Requests.Add(1)
	if err := s.serve(a, r); err != nil {
		a.fail(err)
	}
	if a.status == http.StatusUnauthorized || a.status == http.StatusTooManyRequests {
		s.stats.Refused.Add(1)
	}
	if s.cfg.Asked != nil {
		s.cfg.Asked(r.Method, r.URL.Path, a.status, time.Since(start))
	}
}

// serve finds out what is asked.
func (s *Server) serve(w *answer, r *http.Request) error {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout)) // not every connection has one
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if !s.authorised(r) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		return &Error{http.StatusUnauthorized, CodeUnauthorised, "the token is missing or wrong: send Authorization: Bearer TOKEN", nil}
	}
	if err := s.paces.allow(r); err != nil {
		return err
	}
	if r.URL.Path == "/metrics" && s.cfg.Metrics != nil {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			return wrongMethod(w, http.MethodGet)
		}
		s.cfg.Metrics.ServeHTTP(w, r)
		return nil
	}
	what, ok := strings.CutPrefix(r.URL.Path, fmt.Sprintf("/v%d/", Version))
	if s.cfg.Daemon == nil {
		return &Error{http.StatusNotFound, CodeNotFound, "there is /metrics only here", nil}
	}
	if !ok {
		return &Error{http.StatusNotFound, CodeNotFound, fmt.Sprintf("no %q here; the API is at /v%d/", r.URL.Path, Version), nil}
	}
	methods, ok := routes[what]
	if !ok {
		return &Error{http.StatusNotFound, CodeNotFound, fmt.Sprintf("no %q; there are %s", what, strings.Join(routeNames(), ", ")), nil}
	}
	do, ok := methods[r.Method]
	if !ok {
		return wrongMethod(w, methodNames(methods)...)
	}
	if err := sameSite(r); err != nil {
		return err
	}
	r.Body = http.MaxBytesReader(w, r.Body, BodyMax)
	return do(s, w, r)
}

func (s *Server) authorised(r *http.Request) bool {
	if s.cfg.Token == "" {
		return true
	}
	got, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(got), []byte(s.cfg.Token)) == 1
}

// sameSite refuses what a page in a browser could send without asking: a form, or a request that carries an Origin.
func sameSite(r *http.Request) error {
	if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		return &Error{http.StatusForbidden, CodeUnauthorised, "the API is not for web pages", nil}
	}
	return nil
}

func wrongMethod(w http.ResponseWriter, want ...string) error {
	w.Header().Set("Allow", strings.Join(want, ", "))
	return &Error{http.StatusMethodNotAllowed, CodeMethod, "want " + strings.Join(want, " or "), nil}
}

// answer notes the status.
type answer struct {
	http.ResponseWriter
	status int
	begun  bool
}

// WriteHeader is http.ResponseWriter's.
func (a *answer) WriteHeader(status int) {
	a.status, a.begun = status, true
	a.ResponseWriter.WriteHeader(status)
}

// Write is http.ResponseWriter's.
func (a *answer) Write(b []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// fail answers with an error, if nothing else was said.
func (a *answer) fail(err error) {
	var e *Error
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &e):
	case errors.As(err, &tooLarge):
		e = &Error{http.StatusRequestEntityTooLarge, CodeTooLarge, fmt.Sprintf("the body is longer than %d bytes", BodyMax), nil}
	default:
		e = &Error{http.StatusInternalServerError, CodeFailed, err.Error(), nil}
	}
	if a.begun {
		return
	}
	a.Header().Set("Content-Type", contentJSON)
	if e.Status == http.StatusTooManyRequests {
		a.Header().Set("Retry-After", "1")
	}
	a.WriteHeader(e.Status)
	_ = writeJSON(a, envelope{e}) // whoever asked may be gone
}

// tell answers with v.
func (a *answer) tell(v any) error {
	a.Header().Set("Content-Type", contentJSON)
	return writeJSON(a, v)
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// read decodes a request's body strictly: a key that is not known is an error, since it would do nothing.
func read(r *http.Request, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != contentJSON {
		return &Error{http.StatusUnsupportedMediaType, CodeBadRequest, "want Content-Type: " + contentJSON, nil}
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		_, err = d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = errors.New("more than one value")
		}
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return bad("the body cannot be read: %v", err)
}

func bad(format string, args ...any) error {
	return &Error{http.StatusBadRequest, CodeBadRequest, fmt.Sprintf(format, args...), nil}
}
