package driverlife

import (
	"fmt"
	"os"
	"path/filepath"
)

// Vet says whether the driver may be loaded that opening a first handle would load: that of the service, or else WinDivert64.sys in
// the folder of WinDivert.dll. nil: it may, or it is loaded already. The error is a *RefusedError, or says why it cannot be told.
// Whoever opens handles asks it before, unless Forced.
func (s *System) Vet(folder string) error {
	e, err := s.entry(Name)
	if err != nil {
		return err
	}
	file := filepath.Join(folder, File)
	switch {
	case e != nil && e.loaded():
		return nil
	case e != nil:
		file = e.File
	}
	if _, err := s.Read(file); err != nil {
		return explained("read the driver", err)
	}
	if err := s.Verify(file); err != nil {
		return &RefusedError{file, err}
	}
	return nil
}

// ForceVariable is the environment variable by which an administrator has a driver loaded though its signature does not hold, as one
// that is being developed: with the value 1. Windows itself refuses it all the same unless test signing is on.
const ForceVariable = "WEIR_FORCE_DRIVER"

// Forced says that it is set.
func Forced() bool { return os.Getenv(ForceVariable) == "1" }

// File is the driver's on amd64.
const File = "WinDivert64.sys"

// RefusedError is a driver that must not be loaded, with the reason inside.
type RefusedError struct {
	File string
	Err  error
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s is not loaded: %v; get WinDivert again from where it is published ('weir driver verify' shows "+
		"its signers), or set "+ForceVariable+"=1 to load it all the same", e.File, e.Err)
}

func (e *RefusedError) Unwrap() error { return e.Err }

// Vet is System.Vet of this system.
func Vet(folder string) error {
	s, err := Local()
	if err != nil {
		return err
	}
	defer s.Manager.Close()
	return s.Vet(folder)
}
