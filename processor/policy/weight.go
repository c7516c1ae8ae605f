package policy

import (
	"reflect"

	"github.com/weirnet/weir/processor"
)

// weightNode keeps what a filter's weight says: a number, auto, or a class.
type weightNode struct{ node *node }

func (w *weightNode) bind(n *node) any {
	w.node = n
	return nil
}

type classSpec struct {
	Class uint64 `yaml:"class,required" min:"0" max:"15"`
}

// weight reads it. Without one it is 0, as sublayers have it; WFP would find one.
func (c *compiler) weight(n *node) (w uint64, how processor.Weighting) {
	switch {
	case n == nil:
	case n.kind == scalar && n.text == "auto":
		how = processor.WeightAuto
	case n.kind == mapping:
		var s classSpec
		c.decode(n, reflect.ValueOf(&s).Elem(), limits{})
		w, how = s.Class, processor.WeightClass
	case n.kind == scalar && !wholeNumber.MatchString(n.text):
		c.at(n, "want a whole number, auto, or {class: 0 to 15}, got %s", n.show())
	default:
		c.decode(n, reflect.ValueOf(&w).Elem(), limits{key: "weight"})
	}
	return w, how
}
