package compat

const (
	in4    = `"$schema":"http://json-schema.org/draft-04/schema#"`
	in6    = `"$schema":"http://json-schema.org/draft-06/schema#"`
	in7    = `"$schema":"http://json-schema.org/draft-07/schema#"`
	in2019 = `"$schema":"https://json-schema.org/draft/2019-09/schema"`
)

var dialectChanges = []change{
	{"draft 4 exclusive bound", `{` + in4 + `,"minimum":1,"exclusiveMinimum":true}`, `{` + in4 + `,"minimum":1}`, Compatible, Breaking},
	{"draft 4 exclusive bound in draft 7", `{` + in4 + `,"minimum":1,"exclusiveMinimum":true}`, `{` + in7 + `,"exclusiveMinimum":1}`, Compatible, Compatible},
	{"draft 4 exclusive false", `{` + in4 + `,"maximum":1,"exclusiveMaximum":false}`, `{` + in4 + `,"maximum":1}`, Compatible, Compatible},
	{"draft 4 knows no const", `{` + in4 + `,"const":"a"}`, `{` + in4 + `,"const":"b"}`, Compatible, Compatible},
	{"draft 6 knows const", `{` + in6 + `,"const":"a"}`, `{` + in6 + `,"const":"b"}`, Breaking, Breaking},
	{
		"draft 7 ignores siblings of a reference", `{` + in7 + `,"properties":{"a":{"$ref":"#/definitions/t"}},"definitions":{"t":{"type":"string"}}}`,
		`{` + in7 + `,"properties":{"a":{"$ref":"#/definitions/t","minLength":9}},"definitions":{"t":{"type":"string"}}}`, Compatible, Compatible,
	},
	{
		"draft 2019 heeds them", `{` + in7 + `,"properties":{"a":{"$ref":"#/definitions/t","minLength":9}},"definitions":{"t":{"type":"string"}}}`,
		`{` + in2019 + `,"properties":{"a":{"$ref":"#/definitions/t","minLength":9}},"definitions":{"t":{"type":"string"}}}`, Breaking, Compatible,
	},
	{
		"tuple of draft 7", `{` + in7 + `,"type":"array","items":[{"type":"string"}],"additionalItems":false}`,
		`{` + in7 + `,"type":"array","items":[{"type":"string"}]}`, Compatible, Breaking,
	},
	{
		"tuple moved to draft 2020", `{` + in7 + `,"type":"array","items":[{"type":"string"}],"additionalItems":{"type":"integer"}}`,
		`{"type":"array","prefixItems":[{"type":"string"}],"items":{"type":"integer"}}`, Compatible, Compatible,
	},
	{"additionalItems without a tuple", `{` + in7 + `,"type":"array"}`, `{` + in7 + `,"type":"array","additionalItems":false}`, Compatible, Compatible},
	{"dependencies with a list", `{` + in7 + `,"type":"object","dependencies":{"a":["b"]}}`, `{"type":"object","dependentRequired":{"a":["b"]}}`, Compatible, Compatible},
	{"dependentRequired in draft 7 is nothing", `{` + in7 + `,"type":"object"}`, `{` + in7 + `,"type":"object","dependentRequired":{"a":["b"]}}`, Compatible, Compatible},
	{
		"$id of the root", `{"$id":"https://example.com/a/v1.json","$ref":"#/$defs/t","$defs":{"t":{"type":"string"}}}`,
		`{"$id":"https://example.com/a/v2.json","$ref":"#/$defs/t","$defs":{"t":{"type":"string"}}}`, Compatible, Compatible,
	},
	{
		"property called id in draft 4", `{` + in4 + `,"properties":{"id":{"type":"string"},"b":{"$ref":"#/properties/id"}}}`,
		`{` + in4 + `,"properties":{"id":{"type":"string"},"b":{"type":"string"}}}`, Compatible, Compatible,
	},
	{"another draft, the same meaning", `{` + in7 + `,"type":"object","required":["a"]}`, `{"type":"object","required":["a"]}`, Compatible, Compatible},
	{"contains in another draft", `{` + in7 + `,"type":"array","contains":{"type":"string"}}`, `{"type":"array","contains":{"type":"string"}}`, CannotTell, CannotTell},
}

// vacuousChanges look like a break and are none, for no event can show it.
var vacuousChanges = []change{
	{"minLength on an integer", `{"type":"integer"}`, `{"type":"integer","minLength":5}`, Compatible, Compatible},
	{"required on a string", `{"type":"string"}`, `{"type":"string","required":["a"]}`, Compatible, Compatible},
	{
		"property that was forbidden", `{"type":"object","properties":{"a":{}},"additionalProperties":false}`,
		`{"type":"object","properties":{"a":{},"b":{"type":"string","minLength":5}}}`, Compatible, Breaking,
	},
	{"narrowed below a forbidden property", `{"properties":{"a":false}}`, `{"properties":{"a":{"properties":{"b":{"minimum":5}}}}}`, Compatible, Breaking},
	{
		"narrowed below an impossible parent", `{"properties":{"a":{"type":"object","required":["x"],"properties":{"x":false,"y":{"type":"number"}}}}}`,
		`{"properties":{"a":{"type":"object","required":["x"],"properties":{"x":false,"y":{"type":"integer"}}}}}`, Compatible, Compatible,
	},
	{
		"required property that cannot be", `{"type":"object","properties":{"a":{"type":"string","minLength":3,"maxLength":2}},"required":["a"]}`,
		`{"type":"object","required":["z"]}`, Compatible, Breaking,
	},
	{"enum value outside the type", `{"type":"string","enum":["a",1]}`, `{"type":"string","enum":["a"]}`, Compatible, Compatible},
	{"enum value outside a length", `{"enum":["a","abc"],"maxLength":2}`, `{"enum":["a"]}`, Compatible, Compatible},
	{"enum value below a minimum", `{"enum":[1,2,3],"minimum":2}`, `{"enum":[2,3]}`, Compatible, Compatible},
	{"empty bounds", `{"type":"integer","minimum":5,"maximum":4}`, `{"type":"string"}`, Compatible, Breaking},
	{"bounds without an integer", `{"type":"integer","exclusiveMinimum":1,"exclusiveMaximum":2}`, `false`, Compatible, Compatible},
	{"bounds without a multiple", `{"type":"number","multipleOf":10,"minimum":11,"maximum":19}`, `false`, Compatible, Compatible},
	{"required of a closed object", `{"type":"object","properties":{"a":{}},"required":["b"],"additionalProperties":false}`, `false`, Compatible, Compatible},
	{"recursion without an end", `{"type":"object","required":["next"],"properties":{"next":{"$ref":"#"}}}`, `{"type":"string"}`, Compatible, Breaking},
	{"items of an array that is always empty", `{"type":"array","maxItems":0,"items":{"type":"string"}}`, `{"type":"array","maxItems":0,"items":{"type":"integer"}}`, Compatible, Compatible},
	{"prefix beyond maxItems", `{"type":"array","maxItems":1,"prefixItems":[{},{"type":"string"}]}`, `{"type":"array","maxItems":1,"prefixItems":[{},{"type":"integer"}]}`, Compatible, Compatible},
	{"more required than maxProperties", `{"type":"object","required":["a","b"],"maxProperties":1}`, `{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`, Compatible, Breaking},
	{
		"property beyond maxProperties", `{"type":"object","required":["a"],"maxProperties":1,"properties":{"b":{"type":"string"}}}`,
		`{"type":"object","required":["a"],"maxProperties":1,"properties":{"b":{"type":"integer"}}}`, Compatible, Compatible,
	},
	{"contradicting allOf", `{"allOf":[{"type":"string"},{"type":"integer"}]}`, `false`, Compatible, Compatible},
	{"impossible alternative", `{"anyOf":[{"type":"string"},{"type":"integer","minimum":1,"maximum":0}]}`, `{"type":"string"}`, Compatible, Compatible},
}

// beyondChanges use keywords that are not reasoned about.
var beyondChanges = []change{
	{"if equal", `{"if":{"required":["a"]},"then":{"required":["b"]},"title":"x"}`, `{"if":{"required":["a"]},"then":{"required":["b"]}}`, Compatible, Compatible},
	{
		"if equal, something else changed", `{"type":"object","if":{"required":["a"]},"then":{"required":["b"]}}`,
		`{"type":"object","required":["z"],"if":{"required":["a"]},"then":{"required":["b"]}}`, Breaking, Compatible,
	},
	{"then changed", `{"type":"object","if":{"required":["a"]},"then":{"required":["b"]}}`, `{"type":"object","if":{"required":["a"]},"then":{"required":["b","c"]}}`, CannotTell, CannotTell},
	{"if removed", `{"type":"object","if":{"required":["a"]},"then":{"required":["b"]}}`, `{"type":"object"}`, Compatible, Breaking},
	{"if without then and else", `{"type":"object"}`, `{"type":"object","if":{"required":["a"]}}`, Compatible, Compatible},
	{"contains equal", `{"type":"array","contains":{"const":1},"minItems":2}`, `{"type":"array","contains":{"const":1}}`, Compatible, Breaking},
	{"contains gives minItems", `{"type":"array","contains":{"const":1},"minItems":1}`, `{"type":"array","contains":{"const":1}}`, Compatible, Compatible},
	{"contains added", `{"type":"array"}`, `{"type":"array","contains":{"const":1}}`, Breaking, Compatible},
	{
		"contains refers to what changed", `{"type":"array","contains":{"$ref":"#/$defs/t"},"$defs":{"t":{"const":1}}}`,
		`{"type":"array","contains":{"$ref":"#/$defs/t"},"$defs":{"t":{"const":2}}}`, Breaking, Breaking,
	},
	{"propertyNames equal", `{"propertyNames":{"pattern":"^a"},"minProperties":1}`, `{"propertyNames":{"pattern":"^a"}}`, Compatible, Breaking},
	{"propertyNames added", `{"type":"object"}`, `{"type":"object","propertyNames":{"maxLength":3}}`, Breaking, Compatible},
	{
		"dependentSchemas equal", `{"type":"object","dependentSchemas":{"a":{"required":["b"]}},"maxProperties":5}`,
		`{"type":"object","dependentSchemas":{"a":{"required":["b"]}},"maxProperties":6}`, Compatible, Breaking,
	},
	{
		"unevaluatedProperties in equal schemas", `{"title":"a","properties":{"o":{"properties":{"a":{}},"unevaluatedProperties":false}}}`,
		`{"title":"b","properties":{"o":{"properties":{"a":{}},"unevaluatedProperties":false}}}`, Compatible, Compatible,
	},
	{
		"unevaluatedProperties beside a change", `{"properties":{"a":{}},"unevaluatedProperties":false}`,
		`{"properties":{"a":{},"b":{}},"unevaluatedProperties":false}`, CannotTell, CannotTell,
	},
	{"unevaluatedProperties removed", `{"properties":{"a":{}},"unevaluatedProperties":false}`, `{"properties":{"a":{}}}`, Compatible, CannotTell},
	{"dynamic reference", `{"title":"a","$dynamicAnchor":"n","properties":{"c":{"$dynamicRef":"#n"}}}`, `{"title":"b","$dynamicAnchor":"n","properties":{"c":{"$dynamicRef":"#n"}}}`, CannotTell, CannotTell},
	{"reference to an anchor", `{"title":"a","$ref":"#t","$defs":{"t":{"$anchor":"t","type":"string"}}}`, `{"$ref":"#t","$defs":{"t":{"$anchor":"t","type":"string"}}}`, CannotTell, CannotTell},
	{
		"embedded resource", `{"title":"a","$ref":"#/$defs/t","$defs":{"t":{"$id":"https://example.com/t","type":"string"}}}`,
		`{"$ref":"#/$defs/t","$defs":{"t":{"$id":"https://example.com/t","type":"string"}}}`, CannotTell, CannotTell,
	},
	{
		"a break beside what cannot be told", `{"type":"object","properties":{"a":{"type":"string"}}}`,
		`{"type":"object","properties":{"a":{"type":"integer"}},"allOf":[{"if":{"required":["b"]},"then":{"required":["c"]}}]}`, Breaking, Breaking,
	},
}
