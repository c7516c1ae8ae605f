package driverlife

import (
	"errors"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// What would be loaded is what is judged: the service's file, or the one beside the library; what is loaded is not judged any more.
func TestVet(t *testing.T) {
	beside := filepath.Join("dir", File)
	for name, c := range map[string]struct {
		entries []Entry
		files   map[string]string
		refused bool
		is      error
	}{
		"new":              {nil, map[string]string{beside: good}, false, nil},
		"new, unsigned":    {nil, map[string]string{beside: bad}, true, nil},
		"new, no file":     {nil, nil, false, fs.ErrNotExist},
		"there":            {[]Entry{{State: Stopped, File: sys}}, map[string]string{sys: good, beside: bad}, false, nil},
		"there, unsigned":  {[]Entry{{State: Stopped, File: sys}}, map[string]string{sys: bad, beside: good}, true, nil},
		"there, file gone": {[]Entry{{State: Stopped, File: sys}}, map[string]string{beside: good}, false, fs.ErrNotExist},
		"loaded":           {[]Entry{{State: Running, File: sys}}, map[string]string{sys: bad}, false, nil},
	} {
		f := &fake{entries: c.entries, files: c.files}
		for i := range f.entries {
			f.entries[i].Name = Name
		}
		err := f.system().Vet("dir")
		var r *RefusedError
		if errors.As(err, &r) != c.refused || !c.refused && !errors.Is(err, c.is) || c.refused && !strings.Contains(err.Error(), "weir driver verify") {
			t.Errorf("%s: %v", name, err)
		}
	}
	f := &fake{fails: map[string]error{"entries": errAccess}}
	if err := f.system().Vet("dir"); !errors.Is(err, errAccess) {
		t.Error(err)
	}
	if runtime.GOOS != "windows" {
		if err := Vet("dir"); !errors.Is(err, ErrNotWindows) {
			t.Error(err)
		}
	}
}
