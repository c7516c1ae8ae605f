package authenticode

import (
	"errors"
	"fmt"
)

// lastWord settles a report by what the system said of the file. It decides who is trusted; but a file whose bytes do not match
// their signature stays refused, whatever the system says: it may have looked at one signature only.
func (r *Report) lastWord(verdict, ours error) error {
	switch {
	case verdict == nil && (ours == nil || errors.Is(ours, ErrUntrusted) && !errors.Is(ours, ErrTampered)):
		r.System = "trusted"
		return r.close(nil)
	case verdict == nil:
		r.System = "trusted"
		return r.close(ours)
	}
	r.System = "refused: " + verdict.Error()
	if ours != nil {
		return r.close(ours)
	}
	return r.close(fmt.Errorf("%w by Windows (WinVerifyTrust): %w", ErrUntrusted, verdict))
}
