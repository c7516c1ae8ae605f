package driverlife

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

const (
	services = `SYSTEM\CurrentControlSet\Services`
	patience = 10 * time.Second
	look     = 100 * time.Millisecond
)

// Local is the service manager of this system. Looking needs no rights; changing needs an administrator's, which the call that
// lacks them tells. Close its Manager.
func Local() (*System, error) {
	h, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CONNECT)
	if err != nil {
		return nil, explained("connect to the service manager", err)
	}
	dir, err := windows.GetWindowsDirectory()
	if err != nil {
		return nil, err
	}
	left := int(patience / look)
	return &System{
		Manager: &manager{h, dir}, Read: Read, Verify: Verify,
		Wait: func() bool { left--; time.Sleep(look); return left > 0 },
	}, nil
}

type manager struct {
	handle  windows.Handle
	windows string // folder
}

func (m *manager) Close() error { return windows.CloseServiceHandle(m.handle) }

// Entries reads the registry, where all services are, and asks for the state of those that are ours.
func (m *manager) Entries() ([]Entry, error) {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, services, registry.ENUMERATE_SUB_KEYS)
	if err != nil {
		return nil, err
	}
	defer k.Close()
	all, err := k.ReadSubKeyNames(-1)
	if err != nil {
		return nil, err
	}
	var found []Entry
	for _, name := range all {
		if len(name) < len(Name) || !strings.EqualFold(name[:len(Name)], Name) {
			continue
		}
		if e, ok := m.entry(name); ok {
			found = append(found, e)
		}
	}
	return found, nil
}

// entry is one service; ok is false if it has gone meanwhile.
func (m *manager) entry(name string) (e Entry, ok bool) {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, services+`\`+name, registry.QUERY_VALUE)
	if err != nil {
		return e, false
	}
	defer k.Close()
	e = Entry{Name: name, State: Unknown}
	e.Image, _, _ = k.GetStringValue("ImagePath") // what cannot be read stays empty
	e.File = fileOf(e.Image, m.windows)
	start, _, _ := k.GetIntegerValue("Start")
	e.Disabled = start == mgr.StartDisabled
	flag, _, _ := k.GetIntegerValue("DeleteFlag")
	e.Deleted = flag != 0
	s, err := m.open(name, windows.SERVICE_QUERY_STATUS)
	if err == windows.ERROR_SERVICE_DOES_NOT_EXIST { //nolint:errorlint // it is the number itself; a key without a service is no service
		return e, false
	}
	if err != nil {
		return e, true
	}
	defer shut(s)
	var st windows.SERVICE_STATUS
	if windows.QueryServiceStatus(s, &st) == nil {
		e.State = StateOf(svc.State(st.CurrentState))
	}
	return e, true
}

// StateOf names a state of the service manager.
func StateOf(s svc.State) State {
	switch s {
	case svc.Stopped:
		return Stopped
	case svc.StartPending:
		return Starting
	case svc.StopPending:
		return Stopping
	case svc.Running:
		return Running
	}
	return Unknown
}

func (m *manager) open(name string, access uint32) (windows.Handle, error) {
	p, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return 0, err
	}
	return windows.OpenService(m.handle, p, access)
}

// shut closes a handle of the service manager, which nothing depends on.
func shut(h windows.Handle) { _ = windows.CloseServiceHandle(h) }

// with opens a service for one call; a handle that stays open would keep a deleted service from going.
func (m *manager) with(name string, access uint32, f func(h windows.Handle) error) error {
	h, err := m.open(name, access)
	if err != nil {
		return err
	}
	defer shut(h)
	return f(h)
}

func (m *manager) Create(name, file string) error {
	h, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CREATE_SERVICE)
	if err != nil {
		return err
	}
	defer shut(h)
	n, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return err
	}
	f, err := windows.UTF16PtrFromString(file)
	if err != nil {
		return fmt.Errorf("%q: %w", file, err)
	}
	s, err := windows.CreateService(h, n, n, windows.SERVICE_QUERY_STATUS, windows.SERVICE_KERNEL_DRIVER, windows.SERVICE_DEMAND_START,
		windows.SERVICE_ERROR_NORMAL, f, nil, nil, nil, nil, nil)
	if err != nil {
		return err
	}
	return windows.CloseServiceHandle(s)
}

func (m *manager) Enable(name string) error {
	return m.with(name, windows.SERVICE_CHANGE_CONFIG, func(h windows.Handle) error {
		return windows.ChangeServiceConfig(h, windows.SERVICE_NO_CHANGE, windows.SERVICE_DEMAND_START, windows.SERVICE_NO_CHANGE,
			nil, nil, nil, nil, nil, nil, nil)
	})
}

func (m *manager) Start(name string) error {
	return m.with(name, windows.SERVICE_START, func(h windows.Handle) error { return windows.StartService(h, 0, nil) })
}

func (m *manager) Stop(name string) error {
	return m.with(name, windows.SERVICE_STOP, func(h windows.Handle) error {
		var st windows.SERVICE_STATUS
		return windows.ControlService(h, windows.SERVICE_CONTROL_STOP, &st)
	})
}

func (m *manager) Delete(name string) error {
	return m.with(name, windows.DELETE, windows.DeleteService)
}
