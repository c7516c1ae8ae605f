package processor

import "fmt"

// Code is an error as WFP numbers it (fwpmu.h, FWP_E_…). errors.Is finds it in what policies, transactions and the registry of
// callouts return.
type Code uint32

// The codes in use.
const (
	ErrCalloutNotFound     Code = 0x80320001
	ErrConditionNotFound   Code = 0x80320002 // packets at the layer do not have the field
	ErrFilterNotFound      Code = 0x80320003
	ErrLayerNotFound       Code = 0x80320004
	ErrSublayerNotFound    Code = 0x80320007
	ErrAlreadyExists       Code = 0x80320009
	ErrInUse               Code = 0x8032000A // something refers to it
	ErrNoTxn               Code = 0x8032000D // the transaction is over
	ErrTxnInProgress       Code = 0x8032000E
	ErrSessionAborted      Code = 0x80320010
	ErrLifetimeMismatch    Code = 0x80320016 // it refers to what lives shorter
	ErrInvalidFlags        Code = 0x8032001E
	ErrInvalidMask         Code = 0x8032001F
	ErrInvalidRange        Code = 0x80320020
	ErrNameRequired        Code = 0x80320023
	ErrInvalidAction       Code = 0x80320024
	ErrInvalidWeight       Code = 0x80320025
	ErrMatchTypeMismatch   Code = 0x80320026 // the field cannot be compared that way
	ErrTypeMismatch        Code = 0x80320027 // the value is of another type than the field
	ErrCalloutNotification Code = 0x80320037 // a callout refused a filter
)

var codeNames = map[Code]string{
	ErrCalloutNotFound: "CALLOUT_NOT_FOUND", ErrConditionNotFound: "CONDITION_NOT_FOUND", ErrFilterNotFound: "FILTER_NOT_FOUND",
	ErrLayerNotFound: "LAYER_NOT_FOUND", ErrSublayerNotFound: "SUBLAYER_NOT_FOUND", ErrAlreadyExists: "ALREADY_EXISTS",
	ErrInUse: "IN_USE", ErrNoTxn: "NO_TXN_IN_PROGRESS", ErrTxnInProgress: "TXN_IN_PROGRESS", ErrSessionAborted: "SESSION_ABORTED",
	ErrLifetimeMismatch: "LIFETIME_MISMATCH", ErrInvalidFlags: "INVALID_FLAGS", ErrInvalidMask: "INVALID_NET_MASK",
	ErrInvalidRange: "INVALID_RANGE", ErrNameRequired: "NULL_DISPLAY_NAME", ErrInvalidAction: "INVALID_ACTION_TYPE",
	ErrInvalidWeight: "INVALID_WEIGHT", ErrMatchTypeMismatch: "MATCH_TYPE_MISMATCH", ErrTypeMismatch: "TYPE_MISMATCH",
	ErrCalloutNotification: "CALLOUT_NOTIFICATION_FAILED",
}

// Error returns the name in fwpmu.h.
func (c Code) Error() string {
	if n, ok := codeNames[c]; ok {
		return "FWP_E_" + n
	}
	return fmt.Sprintf("FWP_E_%#x", uint32(c))
}

// Error is one thing that is wrong with an object of a policy. It wraps its code.
type Error struct {
	Code  Code
	Where string // the object, as in: filter "x"
	Msg   string
}

func (e *Error) Error() string {
	if e.Where == "" {
		return fmt.Sprintf("%s (%v)", e.Msg, e.Code)
	}
	return fmt.Sprintf("%s: %s (%v)", e.Where, e.Msg, e.Code)
}

// Unwrap returns the code.
func (e *Error) Unwrap() error { return e.Code }

func filterError(c Code, name, format string, args ...any) error {
	return &Error{c, fmt.Sprintf("filter %q", name), fmt.Sprintf(format, args...)}
}
