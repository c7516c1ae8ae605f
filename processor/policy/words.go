package policy

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/weirnet/weir/processor"
)

// nameMax bounds the names of a policy, in characters; they stand in metrics, logs and tables.
const nameMax = 100

// name is what a sublayer, filter or callout is called.
type name string

func (n name) check() error {
	switch {
	case n == "":
		return errors.New("a name is empty; give it one")
	case utf8.RuneCountInString(string(n)) > nameMax:
		return fmt.Errorf("a name of more than %d characters; shorten it", nameMax)
	}
	for _, r := range string(n) {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("a name with %U, which cannot be printed; remove it", r)
		}
	}
	return nil
}

// expression is a filter text. YAML takes a bare true for a truth value; here it is the filter.
type expression string

func (e *expression) UnmarshalText(text []byte) error {
	*e = expression(text)
	return nil
}

// layer is a layer of the processor.
type layer struct{ processor.Layer }

func (l *layer) UnmarshalText(text []byte) error {
	parsed, err := processor.ParseLayer(string(text))
	if err != nil {
		return fmt.Errorf("unknown layer %s; %s", quote(string(text)), remedy(string(text), processor.LayerNames()))
	}
	l.Layer = parsed
	return nil
}

// configNode keeps the config of a callout for its factory to decode.
type configNode struct{ node *node }

func (c *configNode) bind(n *node) any {
	c.node = n
	return nil
}
