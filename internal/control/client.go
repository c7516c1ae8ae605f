package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"syscall"

	"github.com/weirnet/weir/processor"
)

// Client asks one daemon. Its methods may be called from any goroutine, and block until the answer is there or ctx ends. Errors:
// *Error, what the daemon says; or that nobody answers, with what to do about it.
type Client struct {
	at   Address
	base string
	http http.Client
	rt   *http.Transport
}

// NewClient returns a client. It does nothing before it is asked.
func NewClient(at Address) *Client {
	c := &Client{at: at}
	c.base, c.rt = at.transport()
	c.http.Transport = c.rt
	return c
}

// Close ends connections that are kept for the next request.
func (c *Client) Close() { c.rt.CloseIdleConnections() }

// Status asks what runs.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.do(ctx, http.MethodGet, "status", nil, nil, &s)
}

// Stats asks for the books.
func (c *Client) Stats(ctx context.Context) (s Stats, err error) {
	return s, c.do(ctx, http.MethodGet, "stats", nil, nil, &s)
}

// Flows asks for flows.
func (c *Client) Flows(ctx context.Context, q FlowQuery) (f Flows, err error) {
	v := url.Values{}
	set(v, "sort", q.Sort)
	set(v, "match", q.Match)
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return f, c.do(ctx, http.MethodGet, "flows", v, nil, &f)
}

// Filters asks for the filters in force.
func (c *Client) Filters(ctx context.Context) (f Filters, err error) {
	return f, c.do(ctx, http.MethodGet, "filters", nil, nil, &f)
}

// Explain asks what the policy in force says to a packet, whose flow is new to it.
func (c *Client) Explain(ctx context.Context, r ExplainRequest) (x processor.Explanation, err error) {
	return x, c.do(ctx, http.MethodPost, "explain", nil, r, &x)
}

// Reload has the policy read again. If it is refused the error is an *Error with Reload set.
func (c *Client) Reload(ctx context.Context) (r ReloadResult, err error) {
	return r, c.do(ctx, http.MethodPost, "reload", nil, nil, &r)
}

// LogLevels asks for the log levels.
func (c *Client) LogLevels(ctx context.Context) (l LogLevels, err error) {
	return l, c.do(ctx, http.MethodGet, "log", nil, nil, &l)
}

// SetLogLevel sets a log level, and returns all.
func (c *Client) SetLogLevel(ctx context.Context, s LogLevel) (l LogLevels, err error) {
	return l, c.do(ctx, http.MethodPut, "log", nil, s, &l)
}

// Pause lets packets pass by undecided until Resume.
func (c *Client) Pause(ctx context.Context) (s Status, err error) {
	return s, c.do(ctx, http.MethodPost, "pause", nil, nil, &s)
}

// Resume diverts packets again.
func (c *Client) Resume(ctx context.Context) (s Status, err error) {
	return s, c.do(ctx, http.MethodPost, "resume", nil, nil, &s)
}

// Trace calls do with live packets, until it returns an error, the count is reached, or ctx or the daemon ends.
func (c *Client) Trace(ctx context.Context, q TraceQuery, do func(*Trace) error) error {
	body, err := c.send(ctx, http.MethodGet, "trace", q.values(), nil)
	if err != nil {
		return err
	}
	defer body.Close()
	d := json.NewDecoder(body)
	for {
		var t Trace
		switch err := d.Decode(&t); {
		case errors.Is(err, io.EOF), ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("the daemon broke off: %w", err)
		}
		if err := do(&t); err != nil {
			return err
		}
	}
}

// Dump copies live packets to w as pcapng, until the count is reached, or ctx or the daemon ends.
func (c *Client) Dump(ctx context.Context, q TraceQuery, w io.Writer) error {
	body, err := c.send(ctx, http.MethodGet, "dump", q.values(), nil)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err = io.Copy(w, body); ctx.Err() != nil {
		return nil
	}
	return err
}

func (q *TraceQuery) values() url.Values {
	v := url.Values{}
	set(v, "filter", q.Filter)
	set(v, "verdict", q.Verdict)
	if q.Forward {
		v.Set("layer", "forward")
	}
	if q.Count > 0 {
		v.Set("count", strconv.FormatUint(q.Count, 10))
	}
	return v
}

func set(v url.Values, key, value string) {
	if value != "" {
		v.Set(key, value)
	}
}

// do sends one request and decodes its answer.
func (c *Client) do(ctx context.Context, method, what string, query url.Values, body, into any) error {
	answer, err := c.send(ctx, method, what, query, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	if err := json.NewDecoder(answer).Decode(into); err != nil {
		return fmt.Errorf("the answer of the daemon at %v cannot be read: %w", c.at, err)
	}
	return nil
}

// send returns the body of the answer, if it is a success.
func (c *Client) send(ctx context.Context, method, what string, query url.Values, body any) (io.ReadCloser, error) {
	path := fmt.Sprintf("%s/v%d/%s", c.base, Version, what)
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, path, content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", contentJSON)
	}
	if c.at.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.at.Token)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, c.noAnswer(err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	return nil, readError(answer)
}

const contentJSON = "application/json"

// readError reads an answer that is no success.
func readError(answer *http.Response) error {
	e := envelope{Error: &Error{}}
	if json.NewDecoder(io.LimitReader(answer.Body, BodyMax)).Decode(&e) != nil || e.Error == nil {
		e.Error = &Error{}
	}
	e.Error.Status = answer.StatusCode
	return e.Error
}

// noAnswer says what to do when nobody answers.
func (c *Client) noAnswer(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	remedy := ""
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		remedy = "; is weir running? Name its socket with --control"
	case errors.Is(err, fs.ErrPermission):
		remedy = "; only the user who runs weir may ask it: try with sudo"
	}
	return fmt.Errorf("no daemon answers at %v: %w%s", c.at, err, remedy)
}
