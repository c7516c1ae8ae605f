package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// check returns what is wrong with the files: one sentence each, with the reason of the rule.
func check(files []source) []string {
	var wrong []string
	for _, f := range files {
		wrong = append(wrong, checkName(f)...)
		r := roomOf(f.dir())
		if r == nil {
			wrong = append(wrong, fmt.Sprintf("%s: no room for folder %s: add it to the table in internal/archtest/rooms_test.go with its reason",
				f.path, f.dir()))
			continue
		}
		wrong = append(wrong, checkNoise(f, r)...)
		for _, imp := range f.imports {
			if msg := checkImport(f, r, imp); msg != "" {
				wrong = append(wrong, msg)
			}
		}
	}
	return wrong
}

func checkName(f source) []string {
	if slices.Contains(banned, strings.TrimSuffix(f.pkg, "_test")) {
		return []string{fmt.Sprintf("%s: package %s: name it after what it does; everything ends up in a package with that name", f.path, f.pkg)}
	}
	return nil
}

// checkNoise: libraries never print, log or exit. Programs, and the suites and tests around them, do.
func checkNoise(f source, r *room) []string {
	if f.test() || f.pkg == "main" || inRoom("internal/daemon", f.dir()) || inRoom("cmd/weir/...", f.dir()) {
		return nil
	}
	var wrong []string
	for _, n := range f.noises {
		wrong = append(wrong, fmt.Sprintf("%s: uses %s: libraries return errors and Stats, and write to what they are given; only programs print or exit",
			f.path, n))
	}
	return wrong
}

func checkImport(f source, r *room, imp string) string {
	for _, g := range guards {
		if within(g.pkg, imp) && !g.allows(f) {
			return fmt.Sprintf("%s: imports %s, which is for %s: %s", f.path, imp, g.whom(), g.why)
		}
	}
	if isStd(imp) {
		return ""
	}
	if isProject(imp) {
		to := projectDir(imp)
		if r.mayImport(to) || f.test() && testMayImport(r, f.dir(), to) {
			return ""
		}
		return fmt.Sprintf("%s: imports %s; of this project %s may import %s: %s", f.path, to, r.dir, list(r.may), r.why)
	}
	modules := r.modules
	if f.test() {
		modules = join(modules, witnesses...)
	}
	if slices.ContainsFunc(modules, func(m string) bool { return within(m, imp) }) {
		return ""
	}
	return fmt.Sprintf("%s: imports %s; of other people's modules %s may import %s: %s", f.path, imp, r.dir, list(modules), r.why)
}

func (g *guard) allows(f source) bool {
	return f.test() && g.tests || slices.ContainsFunc(g.rooms, func(r string) bool { return inRoom(r, f.dir()) })
}

func (g *guard) whom() string {
	if g.tests {
		return list(join(g.rooms, "tests"))
	}
	return list(g.rooms)
}

// mayImport says whether the table lets code of r import the folder dir.
func (r *room) mayImport(dir string) bool {
	switch {
	case inRoom(r.dir, dir):
		return true
	case slices.Contains(r.may, everything) && !program(dir):
		return true
	case slices.Contains(r.may, exported):
		return !program(dir) && !slices.Contains(strings.Split(dir, "/"), "internal")
	}
	return slices.ContainsFunc(r.may, func(m string) bool { return inRoom(m, dir) })
}

// testMayImport: a test may also use what stands before its room in the table, and what is inside its folder: the seam's tests
// open the drivers, the processor's read policies.
func testMayImport(r *room, from, to string) bool {
	target := roomOf(to)
	return strings.HasPrefix(to, from+"/") || target != nil && order(target) < order(r)
}

func order(r *room) int { return slices.IndexFunc(rooms, func(o room) bool { return o.dir == r.dir }) }

// program: nothing imports what is linked last.
func program(dir string) bool {
	return inRoom("cmd/weir/...", dir) || inRoom("examples/...", dir) || inRoom("bench/...", dir)
}

// roomOf finds the room of a folder: its own, or the nearest above that ends in /...
func roomOf(dir string) *room {
	var found *room
	for i := range rooms {
		r := &rooms[i]
		if r.dir == dir {
			return r
		}
		if inRoom(r.dir, dir) && (found == nil || len(r.dir) > len(found.dir)) {
			found = r
		}
	}
	return found
}

func inRoom(room, dir string) bool {
	if above, ok := strings.CutSuffix(room, "/..."); ok {
		return within(above, dir)
	}
	return room == dir
}

// within says whether path is above or stands below it.
func within(above, path string) bool { return path == above || strings.HasPrefix(path, above+"/") }

func isProject(imp string) bool    { return within(module, imp) }
func projectDir(imp string) string { return strings.TrimPrefix(strings.TrimPrefix(imp, module), "/") }

// isStd: only paths of modules have a dot in their first part. "C" is cgo, which the cross-builds do without.
func isStd(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return !strings.Contains(first, ".") && imp != "C"
}

func list(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}
