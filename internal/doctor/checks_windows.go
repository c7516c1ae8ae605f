package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	sys "golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc/mgr"

	_ "github.com/weirnet/weir/divertdrv/native" // whose REFLECT layer tells who has handles open
	"github.com/weirnet/weir/internal/clock"
	"github.com/weirnet/weir/internal/driverlife"
)

// facts are found out once for all checks.
var facts = sync.OnceValue(find)

var checks = []check{
	{"privileges", func() []Finding { return facts().privileges() }},
	{"system", func() []Finding { return facts().system() }},
	{"files", func() []Finding { return facts().files() }},
	{"service", func() []Finding { return facts().service() }},
}

func kernel() string {
	v := sys.RtlGetVersion()
	return fmt.Sprintf("%d.%d.%d", v.MajorVersion, v.MinorVersion, v.BuildNumber)
}

func find() *windows {
	w := &windows{arch: runtime.GOARCH, elevated: sys.GetCurrentProcessToken().IsElevated()}
	w.engine, w.noEngine = serviceState("BFE")
	if exe, err := os.Executable(); err == nil {
		w.folder = filepath.Dir(exe)
	}
	_, w.library = os.Stat(filepath.Join(w.folder, "WinDivert.dll"))
	file := filepath.Join(w.folder, driverlife.File)
	if _, w.file = os.Stat(file); w.file == nil {
		w.signed = driverlife.Verify(file)
	}
	s, err := driverlife.Local()
	if err != nil {
		w.noStatus = err
		return w
	}
	defer s.Manager.Close()
	s.Users = func() ([]driverlife.User, error) {
		return driverlife.Handles(nil, clock.System, 300*time.Millisecond, nil)
	}
	w.status, w.noStatus = s.Status()
	return w
}

func serviceState(name string) (driverlife.State, error) {
	h, err := sys.OpenSCManager(nil, nil, sys.SC_MANAGER_CONNECT)
	if err != nil {
		return driverlife.Unknown, err
	}
	m := &mgr.Mgr{Handle: h}
	defer func() { _ = m.Disconnect() }()
	p, err := sys.UTF16PtrFromString(name)
	if err != nil {
		return driverlife.Unknown, err
	}
	sh, err := sys.OpenService(h, p, sys.SERVICE_QUERY_STATUS)
	if err != nil {
		return driverlife.Unknown, err
	}
	s := &mgr.Service{Name: name, Handle: sh}
	defer s.Close()
	st, err := s.Query()
	return driverlife.StateOf(st.State), err
}
