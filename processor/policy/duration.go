package policy

import (
	"fmt"
	"time"
)

// duration reads a time with its unit, which is not negative.
type duration struct{ time.Duration }

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("%s is no time; write a number with a unit, such as 50us, 2ms or 30s", quote(string(text)))
	}
	d.Duration = v
	return nil
}
