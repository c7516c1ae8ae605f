package control

import (
	"context"
	"errors"
	"io"
	"log"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

type route = func(s *Server, w *answer, r *http.Request) error

// routes are what can be asked, by path and method.
var routes = map[string]map[string]route{
	"status":  {http.MethodGet: (*Server).status},
	"stats":   {http.MethodGet: (*Server).books},
	"flows":   {http.MethodGet: (*Server).flows},
	"filters": {http.MethodGet: (*Server).filters},
	"explain": {http.MethodPost: (*Server).explains},
	"reload":  {http.MethodPost: (*Server).reload},
	"log":     {http.MethodGet: (*Server).logLevels, http.MethodPut: (*Server).setLogLevel},
	"pause":   {http.MethodPost: (*Server).pause},
	"resume":  {http.MethodPost: (*Server).resume},
	"trace":   {http.MethodGet: (*Server).trace},
	"dump":    {http.MethodGet: (*Server).dump},
}

func routeNames() []string                          { return slices.Sorted(maps.Keys(routes)) }
func methodNames(methods map[string]route) []string { return slices.Sorted(maps.Keys(methods)) }

// quiet takes what net/http would log: clients that break off are no event of the daemon's.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func (s *Server) status(w *answer, r *http.Request) error {
	if err := known(r); err != nil {
		return err
	}
	return w.tell(s.cfg.Daemon.Status())
}

func (s *Server) books(w *answer, r *http.Request) error {
	if err := known(r); err != nil {
		return err
	}
	return w.tell(s.cfg.Daemon.ControlStats())
}

func (s *Server) filters(w *answer, r *http.Request) error {
	if err := known(r); err != nil {
		return err
	}
	return w.tell(s.cfg.Daemon.Filters())
}

func (s *Server) flows(w *answer, r *http.Request) error {
	if err := known(r, "sort", "limit", "match"); err != nil {
		return err
	}
	v := r.URL.Query()
	q := FlowQuery{Sort: v.Get("sort"), Match: v.Get("match"), Limit: FlowsDefault}
	if q.Sort == "" {
		q.Sort = FlowSorts()[0]
	}
	if !slices.Contains(FlowSorts(), q.Sort) {
		return bad("unknown sort %q: want one of %v", q.Sort, FlowSorts())
	}
	if text := v.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > FlowsMax {
			return bad("limit %q: want 1 to %d", text, FlowsMax)
		}
		q.Limit = n
	}
	f, err := s.cfg.Daemon.Flows(q)
	if err != nil {
		return err
	}
	return w.tell(f)
}

func (s *Server) explains(w *answer, r *http.Request) error {
	if err := known(r); err != nil {
		return err
	}
	var q ExplainRequest
	if err := read(r, &q); err != nil {
		return err
	}
	x, err := s.cfg.Daemon.Explain(&q)
	if err != nil {
		return err
	}
	return w.tell(x)
}

// changeTimeout bounds a reload, a pause and a resume.
const changeTimeout = time.Minute

func (s *Server) reload(w *answer, r *http.Request) error {
	if err := known(r); err != nil {
		return err
	}
	// Whoever asked may go away: what was begun is done all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), changeTimeout)
	defer cancel()
	x, err := s.cfg.Daemon.Reload(ctx, "control")
	switch {
	case err != nil:
		return &Error{http.StatusServiceUnavailable, CodeUnavailable, err.Error(), nil}
	case !x.Applied:
		return &Error{http.StatusUnprocessableEntity, CodeRefused, x.Error, &x}
	}
	return w.tell(x)
}

func (s *Server) pause(w *answer, r *http.Request) error { return s.flip(w, r, s.cfg.Daemon.Pause) }

func (s *Server) resume(w *answer, r *http.Request) error { return s.flip(w, r, s.cfg.Daemon.Resume) }

func (s *Server) flip(w *answer, r *http.Request, do func(context.Context) error) error {
	if err := known(r); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), changeTimeout)
	defer cancel()
	if err := do(ctx); err != nil {
		return &Error{http.StatusServiceUnavailable, CodeUnavailable, err.Error(), nil}
	}
	return w.tell(s.cfg.Daemon.Status())
}

func (s *Server) logLevels(w *answer, r *http.Request) error {
	if err := known(r); err != nil {
		return err
	}
	return w.tell(s.cfg.Daemon.LogLevels())
}

func (s *Server) setLogLevel(w *answer, r *http.Request) error {
	var l LogLevel
	if err := errors.Join(known(r)); err != nil {
		return err
	}
	if err := read(r, &l); err != nil {
		return err
	}
	if err := s.cfg.Daemon.SetLogLevel(l); err != nil {
		return bad("%v", err)
	}
	return w.tell(s.cfg.Daemon.LogLevels())
}

// known refuses parameters that would do nothing.
func known(r *http.Request, names ...string) error {
	v, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return bad("the query cannot be read: %v", err)
	}
	for name, values := range v {
		if !slices.Contains(names, name) {
			return bad("unknown parameter %q; want %v", name, names)
		}
		if len(values) > 1 {
			return bad("parameter %q is given twice", name)
		}
	}
	return nil
}

// traceQuery reads what a subscriber wants.
func traceQuery(r *http.Request) (q TraceQuery, err error) {
	if err := known(r, "filter", "layer", "verdict", "count"); err != nil {
		return q, err
	}
	v := r.URL.Query()
	q = TraceQuery{Filter: v.Get("filter"), Verdict: v.Get("verdict")}
	switch l := v.Get("layer"); l {
	case "", "network":
	case "forward":
		q.Forward = true
	default:
		return q, bad("unknown layer %q: want network or forward", l)
	}
	if text := v.Get("count"); text != "" {
		if q.Count, err = strconv.ParseUint(text, 10, 63); err != nil || q.Count == 0 {
			return q, bad("count %q: want a number from 1 on", text)
		}
	}
	return q, nil
}

func (s *Server) trace(w *answer, r *http.Request) error {
	q, err := traceQuery(r)
	if err != nil {
		return err
	}
	feed, err := s.cfg.Daemon.Trace(q)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	idle := func() error {
		_, err := io.WriteString(w, "\n")
		return err
	}
	return follow(w, r, feed, q.Count, func(t *Trace) error { return writeJSON(w, t) }, idle)
}

func (s *Server) dump(w *answer, r *http.Request) error {
	q, err := traceQuery(r)
	if err != nil {
		return err
	}
	feed, err := s.cfg.Daemon.Dump(q)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-pcapng")
	out, err := pcapdrv.NewWriter(w)
	if err != nil {
		feed.Close()
		return err
	}
	// What is written waits in a buffer while more is there; a capture has nothing that says "nothing yet".
	return follow(w, r, feed, q.Count, out.Write, out.Flush)
}

// follow hands a feed to a subscriber, until that goes, is too slow to take a line within writeTimeout, or has enough.
func follow[T any](w *answer, r *http.Request, feed *Feed[T], count uint64, write func(T) error, idle func() error) error {
	defer feed.Close()
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // the request was read; from here on its end is told by the context
	flush := func() error {
		if err := idle(); err != nil {
			return err
		}
		return c.Flush()
	}
	deadline := func() { _ = c.SetWriteDeadline(time.Now().Add(writeTimeout)) } // without one a write fails later or never
	deadline()
	w.WriteHeader(http.StatusOK)
	if err := flush(); err != nil {
		return nil
	}
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for n := uint64(0); count == 0 || n < count; {
		var err error
		select {
		case x := <-feed.C:
			n++
			if feed.Took != nil {
				feed.Took(x)
			}
			deadline()
			if err = write(x); err == nil && len(feed.C) == 0 {
				err = flush()
			}
		case <-tick.C:
			deadline()
			err = flush()
		case <-feed.Over:
			return nil
		case <-r.Context().Done():
			return nil
		}
		if err != nil {
			return nil // the subscriber went, or takes nothing
		}
	}
	deadline()
	_ = flush() // the same
	return nil
}
