package authenticode

import (
	"os"
	"sync"
)

// Vet says whether a driver may be loaded: nil, or why not; the error names what mends it. It is for whoever is about to load it,
// on Windows. What was found good is remembered until the file changes, by its size and time.
func Vet(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	seen := vetted{info.Size(), info.ModTime().UnixNano()}
	vets.Lock()
	known := vets.good[path]
	vets.Unlock()
	if known == seen {
		return nil
	}
	if _, err := File(path, Options{}); err != nil {
		return &RefusedError{err}
	}
	vets.Lock()
	defer vets.Unlock()
	if len(vets.good) >= maxVetted {
		clear(vets.good)
	}
	vets.good[path] = seen
	return nil
}

const maxVetted = 16

type vetted struct{ size, modified int64 }

var vets = struct {
	sync.Mutex // guards good
	good       map[string]vetted
}{good: map[string]vetted{}}

// RefusedError is a driver that must not be loaded, with the reason inside.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string {
	return "driver is not loaded: " + e.Err.Error() +
		"; get WinDivert again from where it is published, 'weir driver verify FILE' shows its signers"
}

func (e *RefusedError) Unwrap() error { return e.Err }
