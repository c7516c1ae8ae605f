package control

import (
	"fmt"
	"net/http"

	"golang.org/x/time/rate"
)

// paces bound requests by their kind, so that who only asks, however often, keeps nobody from changing or measuring.
type paces struct {
	questions, changes, scrapes *rate.Limiter
	explanations                *rate.Limiter // each makes a pipeline of its own
}

var explainPath = fmt.Sprintf("/v%d/explain", Version)

func newPaces() paces {
	limiter := func() *rate.Limiter { return rate.NewLimiter(RequestsPerSec, RequestsBurst) }
	return paces{limiter(), limiter(), limiter(), rate.NewLimiter(ExplainPerSec, ExplainPerSec)}
}

// allow returns nil, or the answer that it is too often.
func (p *paces) allow(r *http.Request) error {
	switch {
	case r.URL.Path == "/metrics":
		return take(p.scrapes, "scrapes")
	case r.URL.Path == explainPath:
		return take(p.explanations, "explanations")
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return take(p.questions, "questions")
	}
	return take(p.changes, "changes")
}

func take(from *rate.Limiter, what string) error {
	if from.Allow() {
		return nil
	}
	return &Error{http.StatusTooManyRequests, CodeTooMany, fmt.Sprintf("more than %v %s per second; ask less often", from.Limit(), what), nil}
}
