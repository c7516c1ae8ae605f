package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/weirnet/weir/internal/driverlife"
)

// windows is what was found out about a Windows system; what it means is decided here, on every system.
type windows struct {
	arch     string // as Go names it
	elevated bool   // the process has an administrator's rights
	engine   driverlife.State
	noEngine error  // why the state of the Base Filtering Engine is not known
	folder   string // of this program, where WinDivert's files belong
	library  error  // of reading WinDivert.dll there
	file     error  // of reading WinDivert64.sys there
	signed   error  // of verifying it, valid iff file is nil
	status   *driverlife.Status
	noStatus error // why it is not known
}

const nothingDiverted = "nothing can be diverted"

func (w *windows) privileges() []Finding {
	if w.elevated {
		return []Finding{{Name: "administrator", State: OK}}
	}
	return []Finding{{
		Name: "administrator", State: Fail, Detail: "this process has not got an administrator's rights",
		Cost: nothingDiverted, Remedy: "start it from a prompt that was opened with 'Run as administrator', or as a service",
	}}
}

func (w *windows) system() []Finding {
	machine := Finding{Name: "machine", State: OK, Detail: w.arch}
	if w.arch != "amd64" {
		machine.State, machine.Cost = Fail, nothingDiverted
		machine.Detail = w.arch + ": WinDivert has no signed driver for it"
		machine.Remedy = "the program for amd64 on a machine of that kind; capture files and the simulator work here"
	}
	engine := Finding{Name: "Base Filtering Engine", State: OK, Detail: string(w.engine)}
	switch {
	case w.noEngine != nil:
		engine.State, engine.Detail = Warn, w.noEngine.Error()
	case w.engine != driverlife.Running:
		a, _ := driverlife.Explain(1753)
		engine.State, engine.Cost, engine.Remedy = Fail, nothingDiverted+", and the firewall is off", a.Remedy
	}
	return []Finding{machine, engine}
}

func (w *windows) files() []Finding {
	library := Finding{Name: "WinDivert.dll", State: OK, Detail: w.folder}
	if w.library != nil {
		library.State, library.Cost, library.Remedy = Fail, nothingDiverted, "put WinDivert.dll of WinDivert 2.2 into "+w.folder
		library.Detail = "not beside this program: " + w.library.Error()
	}
	driver := Finding{Name: driverlife.File, State: OK, Detail: "its signatures hold"}
	switch there := w.serviceFile(); {
	case w.file == nil && w.signed != nil:
		driver.State, driver.Detail, driver.Cost = Fail, w.signed.Error(), "the driver is not loaded"
		driver.Remedy = "get WinDivert 2.2 again from where it is published; 'weir driver verify' shows the signers"
	case errors.Is(w.file, fs.ErrNotExist) && there != "":
		driver.State, driver.Detail = Info, "not beside this program; the service has "+there
	case w.file != nil:
		driver.State, driver.Cost, driver.Detail = Fail, nothingDiverted, w.file.Error()
		driver.Remedy = "put it beside WinDivert.dll: " + filepath.Join(w.folder, driverlife.File)
	}
	return []Finding{library, driver}
}

// serviceFile is what a whole service entry would load.
func (w *windows) serviceFile() string {
	if w.status != nil {
		for _, l := range w.status.Entries {
			if l.Name == driverlife.Name && len(l.Faults) == 0 {
				return l.File
			}
		}
	}
	return ""
}

func (w *windows) service() (found []Finding) {
	if w.noStatus != nil {
		return []Finding{{Name: "service", State: Warn, Detail: w.noStatus.Error()}}
	}
	if len(w.status.Entries) == 0 {
		found = append(found, Finding{Name: "service", State: Info, Detail: "not installed; the first handle that is opened installs it"})
	}
	for i := range w.status.Entries {
		found = append(found, entry(&w.status.Entries[i])...)
	}
	for _, u := range w.status.Users {
		found = append(found, Finding{
			Name: "handle", State: Info,
			Detail: fmt.Sprintf("%s at layer %s, priority %d: with a higher priority it sees packets before this program", u, u.Layer, u.Priority),
		})
	}
	if w.status.UsersErr != "" {
		found = append(found, Finding{Name: "handles", State: Info, Detail: "who has any is not known: " + w.status.UsersErr})
	}
	return found
}

// entry says what is wrong with a service. Those of older versions stand in nobody's way.
func entry(l *driverlife.Look) (found []Finding) {
	state := string(l.State)
	if l.Version != "" {
		state += ", version " + l.Version
	}
	if len(l.Faults) == 0 {
		return []Finding{{Name: "service " + l.Name, State: OK, Detail: state}}
	}
	for _, f := range l.Faults {
		g := Finding{
			Name: "service " + l.Name, State: Warn, Detail: fmt.Sprintf("%s; error %d: %s", state, f.Error, f.Detail),
			Cost: "whoever uses that version gets this error", Remedy: f.Remedy,
		}
		if l.Name == driverlife.Name && l.State != driverlife.Running {
			g.State, g.Cost = Fail, nothingDiverted
		}
		found = append(found, g)
	}
	return found
}
