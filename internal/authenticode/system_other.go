//go:build !windows

package authenticode

import "os"

// askSystem: only Windows has a judge of its own.
func (r *Report) askSystem(_ *os.File, err error) error { return err }
