package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/processor"
	"github.com/weirnet/weir/processor/policy"
)

// The manual has every metric, with its kind and labels, and none that is not there; and every cause.
func TestMetricsManual(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(weir_[a-z_]+)` \\| (\\w+) \\|([^|]*)\\|").FindAllStringSubmatch(strings.ReplaceAll(string(text), "\r", ""), -1) {
		rows[m[1]] = m[2] + " " + strings.TrimSpace(m[3])
	}
	for _, m := range families {
		kind := map[bool]string{true: "histogram"}[m.kind == 0]
		if kind == "" {
			kind = map[string]string{"COUNTER": "counter", "GAUGE": "gauge"}[m.kind.ToDTO().String()]
		}
		if want := kind + " " + strings.Join(m.labels, ", "); rows[m.name] != want {
			t.Errorf("docs/metrics.md: %s is %q, want %q", m.name, rows[m.name], want)
		}
		delete(rows, m.name)
	}
	for name := range rows {
		t.Errorf("docs/metrics.md has %s, which is not there", name)
	}
	for c := range reason.Count {
		if name := reason.Cause(c).String(); !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("docs/metrics.md lacks the cause %s", name)
		}
	}
}

// Alerts and dashboard ask for metrics that are there, by labels that they have.
func TestDeployed(t *testing.T) {
	for _, path := range []string{"prometheus/weir.rules.yaml", "grafana/weir.json"} {
		text, err := os.ReadFile(filepath.Join("../../deploy", path))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, ".json") && !json.Valid(text) {
			t.Errorf("%s is no JSON", path)
		}
		asked := regexp.MustCompile(`weir_[a-z_]+`).FindAllString(string(text), -1)
		if len(asked) < 10 {
			t.Errorf("%s asks for %d metrics", path, len(asked))
		}
		for _, name := range asked {
			name = strings.TrimSuffix(name, "_bucket")
			if !slices.ContainsFunc(families, func(m *metric) bool { return m.name == name }) {
				t.Errorf("%s asks for %s, which is not there", path, name)
			}
		}
	}
}

// promtool accepts the rules, what they are said to do, and a scrape.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("promtool is missing: install Debian's package prometheus")
		}
		t.Skip("promtool is missing: install Debian's package prometheus")
	}
	for _, args := range [][]string{
		{"check", "rules", "--lint=all", "--lint-fatal", "weir.rules.yaml"}, {"test", "rules", "weir.rules.test.yaml"},
	} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = "../../deploy/prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(scrapeOf(t, simulation(t, 2000)))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// A policy with more filters than have series of their own has as many series as one with just those.
func TestMetricsAreBounded(t *testing.T) {
	text := scrapeOf(t, simulation(t, 5*filtersExported))
	named := strings.Count(text, "\nweir_filter_matched_total{")
	if named != filtersExported+1 || !strings.Contains(text, `weir_filter_matched_total{filter="(other)",layer="outbound-transport"}`) {
		t.Errorf("%d series of filters, want %d and the others together", named, filtersExported)
	}
}

// simulation is a session over the simulator that has run, by a policy of so many filters.
func simulation(t *testing.T, filters int) *Session {
	t.Helper()
	when, err := filter.Parse("udp.DstPort == 53", divertdrv.Network)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]processor.Filter, filters)
	for i := range all {
		all[i] = processor.Filter{
			Name: fmt.Sprintf("f%d", i), Layer: processor.OutboundTransport,
			When: when, Action: processor.ActionBlock,
		}
	}
	pol, err := processor.NewPolicy(nil, all)
	if err != nil {
		t.Fatal(err)
	}
	everything, err := filter.Parse("true", divertdrv.Network)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(Plan{
		Driver: Driver{Backend: Sim, Packets: 500, Seed: 1}, Handles: []policy.Handle{{Filter: everything}}, Policy: pol,
	}, NoLog())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func scrapeOf(t *testing.T, s *Session) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.metricsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	b, err := io.ReadAll(w.Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("%v, status %d: %s", err, w.Code, b)
	}
	return string(b)
}
