package bench_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/weirnet/weir/bench"
)

// A stall of 100 ms among operations that should take 1 ms each hides 99 of them, unless they are put back.
func TestLatencyCorrectsForOmission(t *testing.T) {
	plain, corrected := bench.NewLatency(), bench.NewLatency()
	for i := range 100 {
		d := time.Millisecond
		if i == 50 {
			d = 100 * time.Millisecond
		}
		plain.Record(d)
		corrected.RecordEvery(d, time.Millisecond)
	}
	if got := plain.Percentile(90); got > 2*time.Millisecond {
		t.Errorf("uncorrected, 90 %%: %v", got)
	}
	if got := corrected.Percentile(90); got < 70*time.Millisecond {
		t.Errorf("corrected, 90 %%: %v, want some 80 ms", got)
	}
	if plain.Count() != 100 || corrected.Count() != 199 {
		t.Errorf("%d and %d values", plain.Count(), corrected.Count())
	}
}

func TestLatencyRoundTrip(t *testing.T) {
	l := bench.NewLatency()
	for _, d := range []time.Duration{-time.Second, 0, 70, time.Millisecond, time.Hour} { // the bounds take what lies outside
		l.Record(d)
	}
	b, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	var back bench.Latency
	if err := json.Unmarshal(b, &back); err != nil || back.Count() != 5 || back.Percentile(50) != l.Percentile(50) || back.Percentile(100) != l.Percentile(100) {
		t.Errorf("%v: %d values, median %v, want %v", err, back.Count(), back.Percentile(50), l.Percentile(50))
	}
	for _, bad := range []string{`"nothing"`, `17`, `""`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was taken for a histogram", bad)
		}
	}
}

func TestPaceKeepsItsSchedule(t *testing.T) {
	p := bench.NewPace(10 * time.Millisecond)
	first, now := p.Due()
	if !now {
		t.Fatal("the first one is due at once")
	}
	time.Sleep(25 * time.Millisecond)
	for i := 1; i <= 2; i++ { // those that were missed are due since their time, not since now
		at, now := p.Due()
		if !now || at.Sub(first) != time.Duration(i)*10*time.Millisecond {
			t.Errorf("%d: due %v after the first, %v", i, at.Sub(first), now)
		}
	}
}
