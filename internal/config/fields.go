package config

import (
	"encoding"
	"reflect"
	"strings"
)

// envPrefix begins the name of every variable that overrides a key.
const envPrefix = "GATEWAY_"

// laterKeys are keys of the configuration contract that are not implemented yet.
var laterKeys = []string{"tracing"}

// leaf is a key that holds a value, not further keys.
type leaf struct {
	path  string
	env   string // "" where no variable can set it
	index []int
}

// leaves lists the keys of Config in the order of its fields.
func leaves() []leaf {
	return appendLeaves(nil, reflect.TypeFor[Config](), "", nil)
}

func appendLeaves(list []leaf, t reflect.Type, prefix string, index []int) []leaf {
	for i := range t.NumField() {
		field := t.Field(i)
		name := field.Tag.Get("yaml")
		if name == "" {
			continue
		}
		path := join(prefix, name)
		at := append(index[:len(index):len(index)], i)
		switch field.Type.Kind() {
		case reflect.Struct:
			if implements[encoding.TextUnmarshaler](field.Type) { // which a variable can set
				list = append(list, leaf{path: path, env: envName(path), index: at})
				continue
			}
			list = appendLeaves(list, field.Type, path, at)
		case reflect.Map:
			list = append(list, leaf{path: path, index: at})
		case reflect.Slice:
			if field.Type.Elem().Kind() == reflect.Struct { // whose items have the keys
				continue
			}
			fallthrough
		default:
			list = append(list, leaf{path: path, env: envName(path), index: at})
		}
	}
	return list
}

func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

// fieldNames lists the keys of one mapping, in order, with their field numbers.
func fieldNames(t reflect.Type) (names []string, fields map[string]int) {
	fields = map[string]int{}
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "" {
			names = append(names, name)
			fields[name] = i
		}
	}
	return names, fields
}
