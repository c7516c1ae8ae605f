package control

import "fmt"

// The codes of an Error.
const (
	CodeBadRequest   = "bad-request"  // 400: it cannot be understood, or asks for what cannot be
	CodeUnauthorised = "unauthorised" // 401: the token is missing or wrong
	CodeNotFound     = "not-found"    // 404
	CodeMethod       = "wrong-method" // 405
	CodeTooLarge     = "too-large"    // 413: the body is longer than BodyMax
	CodeRefused      = "refused"      // 422: a reload that changes nothing; details are a ReloadResult
	CodeTooMany      = "too-many"     // 429: requests, or subscriptions; try again later
	CodeFailed       = "failed"       // 500
	CodeUnavailable  = "unavailable"  // 503: not in this state
)

// Error is an answer that is no success.
type Error struct {
	Status  int           `json:"-"` // of HTTP
	Code    string        `json:"code"`
	Message string        `json:"message"`
	Reload  *ReloadResult `json:"reload,omitempty"` // with CodeRefused
}

func (e *Error) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("the daemon answered with HTTP status %d", e.Status)
	}
	return e.Message
}

// envelope is how an Error travels.
type envelope struct {
	Error *Error `json:"error"`
}
