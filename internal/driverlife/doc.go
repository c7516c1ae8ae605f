// Package driverlife looks after the service of the WinDivert driver: what state it is in, who uses it, which entries are stale and
// what mends them, and how it is installed and taken away. All decisions are here, over Manager; on Windows Local has the real
// one. docs/driver-life.md tells users the same.
//
// How WinDivert lives (docs: windivert.html section 5.1; driver sources of 2.2): its DLL creates the service "WinDivert" when a
// first handle is opened and the driver is not there, starts it, and marks it for deletion at once. So it goes when the driver
// stops, which it does when the last handle is closed and somebody stops it, or at the next start of Windows. Whoever moves or
// deletes the .sys file in between leaves an entry that points nowhere.
package driverlife
