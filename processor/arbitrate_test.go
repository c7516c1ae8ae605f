package processor

import "testing"

// The disagreement of two sublayers, the higher first: spec table "hi \ lo", all from callouts, and the row of a plain block.
func TestArbitrationOfTwoSublayers(t *testing.T) {
	sp := yield{action: Permit, callout: true}
	hp := yield{action: Permit, hard: true, callout: true}
	sb := yield{action: Block, callout: true}
	hb := yield{action: Block, hard: true, callout: true}
	plain := yield{action: Block, hard: true}
	type row struct {
		name   string
		hi, lo yield
		want   Action
		veto   bool
	}
	for _, r := range []row{
		{"SP SP", sp, sp, Permit, false},
		{"SP HP", sp, hp, Permit, false},
		{"SP SB", sp, sb, Block, false},
		{"SP HB", sp, hb, Block, false},
		{"HP SP", hp, sp, Permit, false},
		{"HP HP", hp, hp, Permit, false},
		{"HP SB", hp, sb, Block, true},
		{"HP HB", hp, hb, Block, true},
		{"SB SP", sb, sp, Permit, false},
		{"SB HP", sb, hp, Permit, false},
		{"SB SB", sb, sb, Block, false},
		{"SB HB", sb, hb, Block, false},
		{"HB SP", hb, sp, Block, false},
		{"HB HP", hb, hp, Block, false},
		{"HB SB", hb, sb, Block, false},
		{"HB HB", hb, hb, Block, false},
		{"SP plain block", sp, plain, Block, false},
		{"HP plain block", hp, plain, Permit, false},
		{"SB plain block", sb, plain, Block, false},
		{"HB plain block", hb, plain, Block, false},
	} {
		t.Run(r.name, func(t *testing.T) {
			var d decision
			d.combine(r.hi)
			d.combine(r.lo)
			if d.action != r.want || d.veto != r.veto {
				t.Errorf("got %v veto %v, want %v veto %v", d.action, d.veto, r.want, r.veto)
			}
		})
	}
}

// Every cell of the table at the head of arbitrate.go: the state before, what a sublayer yields, the state after.
func TestArbitrationCells(t *testing.T) {
	states := map[string]decision{
		"none":             {},
		"soft permit":      {action: Permit},
		"soft block":       {action: Block},
		"hard permit":      {action: Permit, locked: true},
		"hard block":       {action: Block, locked: true},
		"veto":             {action: Block, locked: true, veto: true},
		"never: continue ": {},
	}
	yields := []yield{
		{},
		{callout: true},
		{action: Permit},
		{action: Permit, hard: true},
		{action: Permit, hard: true, callout: true},
		{action: Block, hard: true},
		{action: Block, callout: true},
		{action: Block, hard: true, callout: true},
	}
	for name, before := range states {
		for _, y := range yields {
			got, want := before, before
			got.combine(y)
			switch {
			case y.action == Continue:
			case !before.locked:
				want = decision{action: y.action, locked: y.hard}
			case before.action == Permit && y.action == Block && y.callout:
				want = decision{action: Block, locked: true, veto: true}
			}
			if got != want {
				t.Errorf("%s + %+v: got %+v, want %+v", name, y, got, want)
			}
		}
	}
}
