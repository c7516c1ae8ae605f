package daemon

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/weirnet/weir/processor"
)

func stale(sum int, callout string) processor.Violation {
	return processor.Violation{
		Rule: processor.RuleStaleChecksum, Layer: processor.InboundTransport, Callout: callout,
		Detail: fmt.Sprintf("IPv4 header checksum %#04x, want 0xbeef", sum), Remedy: "compute it",
	}
}

// What differs in numbers only is one violation, told once with the first numbers.
func TestViolationsAreToldOnce(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	v := newVerifier(Log{zap.New(core), NoLog().Levels})
	for sum := range 500 {
		v.add(stale(sum*131, "a"))
	}
	v.add(stale(7, "b"))
	v.add(processor.Violation{Rule: processor.RuleInlineTCP, Detail: "TCP by a back door", Remedy: "Defer"})
	got, more := v.result()
	want := []ViolationResult{
		{"stale-checksum", "inbound-transport", "a", "", "IPv4 header checksum 0x0000, want 0xbeef", "compute it", 500},
		{"stale-checksum", "inbound-transport", "b", "", "IPv4 header checksum 0x0007, want 0xbeef", "compute it", 1},
		{"inline-tcp", "", "", "", "TCP by a back door", "Defer", 1},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || more != 0 {
		t.Errorf("%+v and %d more\nwant %+v", got, more, want)
	}
	if logs.Len() != len(want) || logs.All()[0].Message != "violation" || logs.All()[0].ContextMap()["rule"] != "stale-checksum" {
		t.Errorf("logged %+v", logs.All())
	}
}

// However many kinds there are, and whoever tells them at a time, memory and log are bounded, and each is counted.
func TestViolationsAreBounded(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	v := newVerifier(Log{zap.New(core), NoLog().Levels})
	const kinds, workers = 150, 4
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range kinds {
				v.add(stale(1, strings.Repeat("x", i+1)))
			}
		})
	}
	wg.Wait()
	all, more := v.result()
	sum := more
	for _, r := range all {
		sum += r.Count
	}
	if len(all) != violationsMax || logs.Len() != violationsMax || sum != kinds*workers || more != (kinds-violationsMax)*workers {
		t.Errorf("%d kinds, %d lines, %d of %d, %d more", len(all), logs.Len(), sum, kinds*workers, more)
	}
}
