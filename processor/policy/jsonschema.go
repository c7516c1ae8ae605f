package policy

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"net/netip"
	"reflect"
	"slices"

	"github.com/weirnet/weir/processor"
)

// SchemaID names the schema of version 1 of the format.
const SchemaID = "https://github.com/weirnet/weir/docs/policy.schema.json"

// Schema returns the JSON schema (draft 2020-12) of policies with callouts of these types, for editors and other programs. It is
// made of the types that policies are decoded into. It knows their form: that a filter text compiles, or that a name is defined,
// Parse alone knows.
func Schema(factories map[string]Factory) []byte {
	s := schemer{plans: &decoder{plans: map[reflect.Type]*plan{}}}
	root := s.of(reflect.TypeFor[document](), &field{})
	root["type"] = "object"
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = SchemaID
	root["title"] = "Weir policy"
	properties := root["properties"].(shape)
	properties["version"] = shape{"const": versionKnown, "description": "of the format"}
	s.driver(itemsOf(properties["driver"]))
	itemsOf(properties["sets"])["anyOf"] = []shape{{"required": []string{"entries"}}, {"required": []string{"file"}}}
	s.filter(itemsOf(properties["filters"]))
	s.callout(itemsOf(properties["callouts"]), factories)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		panic(err) // maps, lists, texts and numbers
	}
	return b.Bytes()
}

// shape is a schema.
type shape map[string]any

func itemsOf(s any) shape {
	if items, ok := s.(shape)["items"]; ok {
		return items.(shape)
	}
	return s.(shape)
}

// shaped is implemented by values that read their own text.
type shaped interface{ shape() shape }

func (name) shape() shape { return shape{"type": "string", "minLength": 1, "maxLength": nameMax} }

func (layer) shape() shape { return shape{"enum": processor.LayerNames()} }

// A bare true is a filter, too.
func (expression) shape() shape { return shape{"type": []string{"string", "boolean"}} }

func (prefix) shape() shape {
	return shape{"type": "string", "pattern": `^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$`}
}

func (duration) shape() shape {
	return shape{"anyOf": []shape{{"const": 0}, {"type": "string", "pattern": `^\+?([0-9]*\.?[0-9]*(ns|us|µs|μs|ms|s|m|h))+$|^0$`}}}
}

func (weightNode) shape() shape {
	return shape{"anyOf": []shape{
		{"type": "integer", "minimum": 0, "maximum": json.Number("18446744073709551615")},
		{"const": "auto"},
		{
			"type": "object", "additionalProperties": false, "required": []string{"class"},
			"properties": shape{"class": shape{"type": "integer", "minimum": 0, "maximum": 15}},
		},
	}}
}

func (configNode) shape() shape { return shape{} }

// schemer makes schemas of types by their tags, as decoder decodes by them.
type schemer struct{ plans *decoder }

// of returns the schema of a field's type.
func (s *schemer) of(t reflect.Type, f *field) shape {
	v := reflect.New(t)
	if own, ok := v.Elem().Interface().(shaped); ok {
		return own.shape()
	}
	if b, ok := v.Interface().(binder); ok {
		return s.of(reflect.TypeOf(b.bind(nil)).Elem(), f)
	}
	switch {
	case t == reflect.TypeFor[netip.Addr]():
		return shape{"type": "string", "pattern": `^[0-9A-Fa-f.:%]+`}
	case v.Type().Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return shape{"type": []string{"string", "number", "boolean"}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem(), f)
	case reflect.Struct:
		return s.mapping(t)
	case reflect.Slice:
		return shape{"type": []string{"array", "null"}, "items": s.of(t.Elem(), f)}
	case reflect.Bool:
		return shape{"type": "boolean"}
	case reflect.String:
		if len(f.oneof) > 0 {
			return shape{"enum": f.oneof}
		}
		return shape{"type": "string"}
	}
	return number(t, f)
}

// mapping is the schema of a struct. One without required keys may be left empty.
func (s *schemer) mapping(t reflect.Type) shape {
	p := s.plans.planOf(t)
	properties, required := shape{}, []string{}
	for _, key := range p.names {
		f := p.fields[key]
		one := s.of(f.typ, &f)
		if f.doc != "" {
			one["description"] = f.doc
		}
		if f.deflt != "" {
			one["default"] = defaultOf(f.typ, f.deflt)
		}
		properties[key] = one
		if f.required {
			required = append(required, key)
		}
	}
	all := shape{"type": []string{"object", "null"}, "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		all["type"], all["required"] = "object", required
	}
	return all
}

// defaultOf writes a default as its type has it.
func defaultOf(t reflect.Type, text string) any {
	if json.Valid([]byte(text)) && t != reflect.TypeFor[placed[expression]]() {
		return json.RawMessage(text)
	}
	return text
}

// number is a whole number within its type, and its tags.
func number(t reflect.Type, f *field) shape {
	lo, hi := new(big.Int), new(big.Int)
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		hi.Sub(hi.Lsh(big.NewInt(1), uint(t.Bits()-1)), big.NewInt(1))
		lo.Not(hi)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		hi.Sub(hi.Lsh(big.NewInt(1), uint(t.Bits())), big.NewInt(1))
	default:
		return shape{} // no value of a policy: decoding says so
	}
	if f.min != "" {
		lo.SetString(f.min, 0)
	}
	if f.max != "" {
		hi.SetString(f.max, 0)
	}
	return shape{"type": "integer", "minimum": json.Number(lo.String()), "maximum": json.Number(hi.String())}
}

// driver: options belong to backends.
func (s *schemer) driver(driver shape) {
	p := s.plans.planOf(reflect.TypeFor[driverSpec]())
	var rules []shape
	for _, key := range p.names {
		if owners := p.fields[key].backends; len(owners) > 0 {
			rules = append(rules, shape{
				"if":   shape{"required": []string{key}},
				"then": shape{"properties": shape{"backend": shape{"enum": owners}}},
			})
		}
	}
	driver["allOf"] = rules
}

// filter: keys that belong to actions.
func (s *schemer) filter(filter shape) {
	conditions := itemsOf(filter["properties"].(shape)["conditions"])
	conditions["properties"].(shape)["field"].(shape)["enum"] = processor.FieldNames()
	conditions["anyOf"] = []shape{{"required": []string{"value"}, "properties": shape{"set": false}}, {"required": []string{"set"}, "properties": shape{"value": false}}}
	established := processor.ALEFlowEstablished.String()
	filter["allOf"] = []shape{
		{
			"if":   shape{"properties": shape{"action": shape{"const": "callout"}}, "required": []string{"action"}},
			"then": shape{"required": []string{"callout"}},
			"else": shape{"properties": shape{"callout": false, "type": false}},
		},
		{
			"if":   shape{"required": []string{"reason"}},
			"then": shape{"properties": shape{"action": shape{"const": "block"}, "layer": shape{"const": established}}},
		},
	}
}

// callout: each type has its own config, which its factory decodes.
func (s *schemer) callout(callout shape, factories map[string]Factory) {
	types := slices.Sorted(maps.Keys(factories))
	callout["properties"].(shape)["type"].(shape)["enum"] = types
	var rules []shape
	for _, t := range types {
		then := shape{}
		if config := s.config(factories[t]); config != nil {
			then["properties"] = shape{"config": config}
			if config["required"] != nil {
				then["required"] = []string{"config"}
			}
		}
		rules = append(rules, shape{
			"if":   shape{"properties": shape{"type": shape{"const": t}}, "required": []string{"type"}},
			"then": then,
		})
	}
	callout["allOf"] = rules
}

// errOnlyTheType ends a factory that was only asked for the type of its config.
var errOnlyTheType = errors.New("only the type of the config is asked for")

// config is the schema of what a factory decodes; nil: it decodes nothing.
func (s *schemer) config(factory Factory) (config shape) {
	_, _ = factory("schema", func(into any) error {
		if t := reflect.TypeOf(into); t != nil && t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
			config = s.mapping(t.Elem())
		}
		return errOnlyTheType
	})
	return config
}
