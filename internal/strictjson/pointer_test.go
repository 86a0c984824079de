package strictjson

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParsePointer(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Pointer{
		"": nil, "/": {""}, "/a/0": {"a", "0"}, "/a~1b/~0/~01": {"a/b", "~", "~1"}, "//é": {"", "é"},
	} {
		p, err := ParsePointer(text)
		require.NoError(t, err, text)
		require.Equal(t, want, p)
		require.Equal(t, text, p.String())
	}
	for text, want := range map[string]error{
		"a": ErrPointerStart, "#/a": ErrPointerStart, "/a~": ErrPointerEscape, "/~2": ErrPointerEscape, "/\xff": ErrPointerUTF8,
	} {
		_, err := ParsePointer(text)
		require.ErrorIs(t, err, want, text)
	}
}

// What is found in the tree is found in the text, alone and among others.
func TestFind(t *testing.T) {
	t.Parallel()
	const text = ` {"a":[0, {"b":null,"c/":"x"}],"":{"":true}, "é":-1} `
	doc, err := Parse([]byte(text))
	require.NoError(t, err)
	t.Cleanup(doc.Release)
	found := map[string]string{
		"/a": `[0, {"b":null,"c/":"x"}]`, "/a/0": "0", "/a/1": `{"b":null,"c/":"x"}`, "/a/1/b": "null", "/a/1/c~1": `"x"`,
		"/": `{"":true}`, "//": "true", "/é": "-1",
	}
	var pointers []Pointer
	for _, at := range []string{"/a", "/a/0", "/a/1", "/a/1/b", "/a/1/c~1", "/", "//", "/é", "/a/2", "/a/01", "/a/-", "/a/b", "/x", "/é/0"} {
		p, err := ParsePointer(at)
		require.NoError(t, err)
		pointers = append(pointers, p)
		value, ok := p.Find([]byte(text))
		node, inTree := p.InTree(doc.Root)
		require.Equal(t, ok, inTree, at)
		require.Equal(t, found[at], string(value))
		if ok {
			got, err := json.Marshal(node)
			require.NoError(t, err)
			require.JSONEq(t, found[at], string(got))
		}
	}
	for i, value := range FindAll([]byte(text), pointers) {
		require.Equal(t, found[pointers[i].String()], string(value))
	}
	require.True(t, bytes.Equal([]byte(text), FindAll([]byte(text), []Pointer{nil})[0]))
}

func TestItems(t *testing.T) {
	t.Parallel()
	text := []byte(`{"a":[1, [2] ,{}],"b":{}}`)
	all, found, over := Pointer{"a"}.Items(text, 3)
	require.True(t, found)
	require.False(t, over)
	require.Equal(t, "1;[2];{}", joined(all))
	all, found, over = Pointer{"a"}.Items(text, 2)
	require.True(t, found && over)
	require.Nil(t, all)
	for _, p := range []Pointer{nil, {"b"}, {"c"}, {"a", "0"}} {
		_, found, _ = p.Items(text, 3)
		require.False(t, found, p.String())
	}
}

func joined(all [][]byte) string {
	var texts []string
	for _, each := range all {
		texts = append(texts, string(each))
	}
	return strings.Join(texts, ";")
}

func TestArrayIndex(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"0": 0, "7": 7, "10": 10, "999999999": 999_999_999} {
		n, ok := ArrayIndex(text)
		require.True(t, ok, text)
		require.Equal(t, want, n)
	}
	for _, text := range []string{"", "00", "01", "-1", "+1", "1e1", "1000000000", "١"} {
		_, ok := ArrayIndex(text)
		require.False(t, ok, text)
	}
}
