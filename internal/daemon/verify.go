package daemon

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/weirnet/weir/processor"
)

// violationsMax bounds the violations that are told apart in one run.
const violationsMax = 100

// ViolationResult is a breach of one of the considerations for callouts, and how often it was seen.
type ViolationResult struct {
	Rule    string `json:"rule"`
	Layer   string `json:"layer,omitempty"`
	Callout string `json:"callout,omitempty"`
	Filter  string `json:"filter,omitempty"`
	Detail  string `json:"detail"` // of the first; numbers in it may differ from one to the next
	Remedy  string `json:"remedy"`
	Count   uint64 `json:"count"`
}

// Where names filter and callout in front of the detail.
func (v *ViolationResult) Where() (s string) {
	if v.Filter != "" {
		s = fmt.Sprintf("filter %q: ", v.Filter)
	}
	if v.Callout != "" {
		s += fmt.Sprintf("callout %q: ", v.Callout)
	}
	return s
}

// verifier gathers violations. What differs in numbers only is one violation: otherwise each wrong checksum would be its own.
type verifier struct {
	log Log

	mu    sync.Mutex // guards all below
	found map[ViolationResult]*ViolationResult
	more  uint64 // of those that found no room
}

func newVerifier(log Log) *verifier {
	return &verifier{log: log, found: make(map[ViolationResult]*ViolationResult)}
}

// add counts a violation, and logs one that is new: violationsMax lines at most, so that no packet waits for long.
func (v *verifier) add(x processor.Violation) {
	r := ViolationResult{Rule: x.Rule.String(), Callout: x.Callout, Filter: x.Filter, Detail: x.Detail, Remedy: x.Remedy}
	if x.Callout != "" || x.Filter != "" {
		r.Layer = x.Layer.String()
	}
	if v.count(&r) {
		v.log.tell(evViolation, zap.String(keyRule, r.Rule), zap.String(keyLayer, r.Layer), zap.String(keyCallout, r.Callout),
			zap.String(keyFilter, r.Filter), zap.String(keyDetail, r.Detail), zap.String(keyRemedy, r.Remedy))
	}
}

// count says whether the violation is new.
func (v *verifier) count(r *ViolationResult) bool {
	key := *r
	key.Detail = strings.Map(numberless, r.Detail)
	v.mu.Lock()
	defer v.mu.Unlock()
	known := v.found[key]
	if known == nil && len(v.found) == violationsMax {
		v.more++
		return false
	}
	if known == nil {
		known = r
		v.found[key] = known
	}
	known.Count++
	return known == r
}

// numberless takes digits, of hexadecimal numbers too, and points out of a text.
func numberless(r rune) rune {
	if r >= '0' && r <= '9' || r >= 'a' && r <= 'f' || r == '.' {
		return -1
	}
	return r
}

// result returns what was found, in the order of rules, layers and names, and how many others there were.
func (v *verifier) result() (all []ViolationResult, more uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	all = []ViolationResult{}
	for _, r := range v.found {
		all = append(all, *r)
	}
	order := processor.RuleNames()
	slices.SortFunc(all, func(a, b ViolationResult) int {
		return cmp.Or(
			cmp.Compare(slices.Index(order, a.Rule), slices.Index(order, b.Rule)), cmp.Compare(a.Layer, b.Layer),
			cmp.Compare(a.Callout, b.Callout), cmp.Compare(a.Filter, b.Filter), cmp.Compare(a.Detail, b.Detail))
	})
	return all, v.more
}
