package control

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// What the API answers is what programs are written against, so a change of one is to be seen.
func TestAPI(t *testing.T) {
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	large := `{"packet":"` + strings.Repeat("A", BodyMax) + `"}`
	for _, c := range []struct {
		name, method, path, body string
		fake                     *fake
	}{
		{"status", "GET", "/v1/status", "", &fake{}},
		{"stats", "GET", "/v1/stats", "", &fake{}},
		{"flows", "GET", "/v1/flows?sort=age&limit=5", "", &fake{}},
		{"flows-none", "GET", "/v1/flows?match=none", "", &fake{}},
		{"flows-sort", "GET", "/v1/flows?sort=beauty", "", &fake{}},
		{"flows-limit", "GET", "/v1/flows?limit=10001", "", &fake{}},
		{"flows-parameter", "GET", "/v1/flows?sortby=age", "", &fake{}},
		{"flows-twice", "GET", "/v1/flows?sort=age&sort=idle", "", &fake{}},
		{"filters", "GET", "/v1/filters", "", &fake{}},
		{"explain", "POST", "/v1/explain", `{"packet":"RQAA","outbound":true}`, &fake{}},
		{"explain-empty", "POST", "/v1/explain", `{}`, &fake{}},
		{"explain-key", "POST", "/v1/explain", `{"packet":"RQAA","outbond":true}`, &fake{}},
		{"explain-broken", "POST", "/v1/explain", `{"packet":`, &fake{}},
		{"explain-two", "POST", "/v1/explain", `{"packet":"RQAA"} {}`, &fake{}},
		{"explain-large", "POST", "/v1/explain", large, &fake{}},
		{"reload", "POST", "/v1/reload", "", &fake{}},
		{"reload-refused", "POST", "/v1/reload", "", &fake{refuse: true}},
		{"reload-busy", "POST", "/v1/reload", "", &fake{busy: true}},
		{"reload-get", "GET", "/v1/reload", "", &fake{}},
		{"log", "GET", "/v1/log", "", &fake{}},
		{"log-set", "PUT", "/v1/log", `{"component":"reload","level":"warn"}`, &fake{}},
		{"log-wrong", "PUT", "/v1/log", `{"component":"reload","level":"loud"}`, &fake{}},
		{"pause", "POST", "/v1/pause", "", &fake{}},
		{"resume-failed", "POST", "/v1/resume", "", &fake{}},
		{"trace-count", "GET", "/v1/trace?count=0", "", &fake{}},
		{"trace-layer", "GET", "/v1/trace?layer=flow", "", &fake{}},
		{"unknown", "GET", "/v1/nothing", "", &fake{}},
		{"version", "GET", "/v2/status", "", &fake{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewServer(Config{Daemon: c.fake})
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			r.Header.Set("Content-Type", contentJSON)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			golden(t, c.name+".txt", fmt.Sprintf("%s %s\n%d %s\n%s", c.method, c.path, w.Code, w.Header().Get("Content-Type"), w.Body))
		})
	}
}

// What a page in a browser could send is refused: the API is for programs of the same user.
func TestNotForPages(t *testing.T) {
	s := NewServer(Config{Daemon: newFake()})
	for name, header := range map[string][2]string{
		"form":   {"Content-Type", "application/x-www-form-urlencoded"},
		"origin": {"Origin", "http://evil.example"},
		"fetch":  {"Sec-Fetch-Site", "cross-site"},
	} {
		r := httptest.NewRequest(http.MethodPut, "/v1/log", strings.NewReader(`{"level":"warn"}`))
		r.Header.Set("Content-Type", contentJSON)
		r.Header.Set(header[0], header[1])
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code < 400 {
			t.Errorf("%s: status %d", name, w.Code)
		}
	}
}

// A token is asked of every request, that for metrics too.
func TestToken(t *testing.T) {
	const token = "0123456789abcdef"
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "weir_up 1\n") })
	s := NewServer(Config{Daemon: newFake(), Metrics: metrics, Token: token})
	for _, path := range []string{"/v1/status", "/metrics"} {
		for _, c := range []struct {
			header string
			want   int
		}{
			{"", http.StatusUnauthorized},
			{"Bearer ", http.StatusUnauthorized},
			{"Bearer 0123456789abcdeF", http.StatusUnauthorized},
			{token, http.StatusUnauthorized},
			{"Bearer " + token, http.StatusOK},
		} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("Authorization", c.header)
			w := httptest.NewRecorder()
			if s.ServeHTTP(w, r); w.Code != c.want {
				t.Errorf("%s with %q: status %d, want %d", path, c.header, w.Code, c.want)
			}
		}
	}
	if n := s.Counters().Refused.Load(); n != 8 {
		t.Errorf("%d refused, want 8", n)
	}
}

// Where only metrics are told, nothing else is.
func TestMetricsOnly(t *testing.T) {
	s := NewServer(Config{Metrics: http.NotFoundHandler()})
	for _, path := range []string{"/v1/status", "/v1/reload", "/"} {
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, nil)); w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
}

// A flood is answered with "later"; it keeps nobody from requests of another kind.
func TestFlood(t *testing.T) {
	s := NewServer(Config{Daemon: newFake()})
	later := 0
	for range 5 * RequestsBurst {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/status", nil))
		switch w.Code {
		case http.StatusOK:
		case http.StatusTooManyRequests:
			if later++; w.Header().Get("Retry-After") == "" {
				t.Fatal("no Retry-After")
			}
		default:
			t.Fatalf("status %d", w.Code)
		}
	}
	if later == 0 || s.Counters().Refused.Load() != uint64(later) {
		t.Errorf("%d were to ask later, %d are counted", later, s.Counters().Refused.Load())
	}
	for _, what := range []string{"reload", "pause"} {
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/"+what, nil)); w.Code != http.StatusOK {
			t.Errorf("%s after a flood of questions: status %d", what, w.Code)
		}
	}
}

// Whatever a client sends, the server answers, with JSON where it is an error, and does not change the daemon by what it refuses.
func FuzzServer(f *testing.F) {
	for what, methods := range routes {
		for method := range methods {
			f.Add(method, "/v1/"+what, "", contentJSON, "")
		}
	}
	f.Add("PUT", "/v1/log", "", contentJSON, `{"component":"reload","level":"warn"}`)
	f.Add("POST", "/v1/explain", "", contentJSON, `{"packet":"RQAA","outbound":true,"interface":4294967295}`)
	f.Add("GET", "/v1/trace", "filter=tcp.DstPort+==+443&verdict=drop&count=3&layer=forward", "", "")
	f.Add("GET", "/v1/flows", "sort=age&limit=-1&match=%zz", "", "")
	f.Add("OPTIONS", "*", "", "", "\x00")
	f.Fuzz(func(t *testing.T, method, path, query, kind, body string) {
		d := newFake()
		close(d.over) // a subscription ends at once
		s := NewServer(Config{Daemon: d})
		r, err := http.NewRequest(http.MethodGet, "http://weir/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Method, r.URL.Path, r.URL.RawQuery = method, path, query
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusOK && !strings.Contains(w.Body.String(), `"code":"`) {
			t.Errorf("status %d: %q", w.Code, w.Body)
		}
		if w.Code != http.StatusOK && d.level != (LogLevel{}) {
			t.Errorf("status %d, and the level was set to %v", w.Code, d.level)
		}
	})
}
