package compat

var objectChanges = []change{
	{"required added", `{"type":"object","properties":{"a":{"type":"string"}}}`, `{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`, Breaking, Compatible},
	{"required removed", `{"type":"object","required":["a","b"]}`, `{"type":"object","required":["a"]}`, Compatible, Breaking},
	{"required in another order", `{"type":"object","required":["a","b"]}`, `{"type":"object","required":["b","a"]}`, Compatible, Compatible},
	{"optional property added to an open object", `{"type":"object"}`, `{"type":"object","properties":{"a":{"type":"string"}}}`, Breaking, Compatible},
	{
		"optional property added to a closed object", `{"type":"object","properties":{"a":{}},"additionalProperties":false}`,
		`{"type":"object","properties":{"a":{},"b":{"type":"string"}},"additionalProperties":false}`, Compatible, Breaking,
	},
	{
		"property removed from a closed object", `{"type":"object","properties":{"a":{},"b":{}},"additionalProperties":false}`,
		`{"type":"object","properties":{"a":{}},"additionalProperties":false}`, Breaking, Compatible,
	},
	{"property without constraint added", `{"type":"object"}`, `{"type":"object","properties":{"a":{"description":"anything"}}}`, Compatible, Compatible},
	{"object closed", `{"type":"object","properties":{"a":{}}}`, `{"type":"object","properties":{"a":{}},"additionalProperties":false}`, Breaking, Compatible},
	{"additionalProperties true is the default", `{"type":"object"}`, `{"type":"object","additionalProperties":true}`, Compatible, Compatible},
	{"additionalProperties narrowed", `{"additionalProperties":{"type":["string","null"]}}`, `{"additionalProperties":{"type":"string"}}`, Breaking, Compatible},
	{
		"additionalProperties covers a property", `{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":{"type":"string"}}`,
		`{"type":"object","additionalProperties":{"type":"string"}}`, Compatible, Compatible,
	},
	{"property narrowed", `{"properties":{"a":{"maxLength":9}}}`, `{"properties":{"a":{"maxLength":8}}}`, Breaking, Compatible},
	{
		"property made nullable, deep", `{"properties":{"a":{"properties":{"b":{"type":"string"}}}}}`,
		`{"properties":{"a":{"properties":{"b":{"type":["string","null"]}}}}}`, Compatible, Breaking,
	},
	{"one widened, one narrowed", `{"properties":{"a":{"minimum":1},"b":{"minimum":1}}}`, `{"properties":{"a":{"minimum":0},"b":{"minimum":2}}}`, Breaking, Breaking},
	{"minProperties raised", `{"type":"object","minProperties":1}`, `{"type":"object","minProperties":2}`, Breaking, Compatible},
	{"minProperties below required", `{"type":"object","required":["a","b"]}`, `{"type":"object","required":["a","b"],"minProperties":2}`, Compatible, Compatible},
	{"maxProperties lowered", `{"type":"object","maxProperties":3}`, `{"type":"object","maxProperties":2}`, Breaking, Compatible},
	{
		"maxProperties of a closed object", `{"type":"object","properties":{"a":{},"b":{}},"additionalProperties":false}`,
		`{"type":"object","properties":{"a":{},"b":{}},"additionalProperties":false,"maxProperties":2}`, Compatible, Compatible,
	},
	{
		"all properties of a closed object needed", `{"type":"object","properties":{"a":{},"b":{}},"additionalProperties":false,"minProperties":2}`,
		`{"type":"object","required":["a","b"]}`, Compatible, Breaking,
	},
	{"patternProperties equal", `{"patternProperties":{"^x-":{"type":"string"}},"required":["a"]}`, `{"patternProperties":{"^x-":{"type":"string"}}}`, Compatible, Breaking},
	{"patternProperties narrowed", `{"patternProperties":{"^x-":{"type":"string"}}}`, `{"patternProperties":{"^x-":{"type":"string","minLength":1}}}`, Breaking, Compatible},
	{
		"patternProperties for a property", `{"properties":{"x-a":{"type":"string"}},"additionalProperties":false}`,
		`{"patternProperties":{"^x-":{"type":"string"}},"additionalProperties":false}`, Compatible, Breaking,
	},
	{"dependentRequired added", `{"type":"object"}`, `{"type":"object","dependentRequired":{"a":["b"]}}`, Breaking, Compatible},
	{"dependentRequired of what is required", `{"type":"object","required":["b"]}`, `{"type":"object","required":["b"],"dependentRequired":{"a":["b"]}}`, Compatible, Compatible},
	{"dependentRequired for required", `{"type":"object","required":["a"],"dependentRequired":{"a":["b"]}}`, `{"type":"object","required":["a","b"]}`, Compatible, Compatible},
	{
		"required property of a nested object", `{"properties":{"o":{"type":"object","required":["x"],"properties":{"x":{"type":"integer"}}}},"required":["o"]}`,
		`{"properties":{"o":{"type":"object","required":["x","y"],"properties":{"x":{"type":"integer"}}}},"required":["o"]}`, Breaking, Compatible,
	},
	{"names with slashes and tildes", `{"properties":{"a/b~c":{"maximum":1}}}`, `{"properties":{"a/b~c":{"maximum":2}}}`, Compatible, Breaking},
	{
		"annotations only", `{"title":"A","x-event":{"key":"/a"},"properties":{"a":{"description":"x","default":1,"deprecated":true}}}`,
		`{"title":"B","x-event":{"key":"/b"},"x-owner":"me","properties":{"a":{"examples":["y"],"readOnly":true,"$comment":"z"}}}`, Compatible, Compatible,
	},
	{"a property called title", `{"properties":{"title":{"type":"string"}}}`, `{"properties":{"title":{"type":"integer"}}}`, Breaking, Breaking},
}

var referenceChanges = []change{
	{"inlined", `{"properties":{"a":{"$ref":"#/$defs/t"}},"$defs":{"t":{"type":"string"}}}`, `{"properties":{"a":{"type":"string"}}}`, Compatible, Compatible},
	{"definition narrowed", `{"properties":{"a":{"$ref":"#/$defs/t"}},"$defs":{"t":{"maxLength":9}}}`, `{"properties":{"a":{"$ref":"#/$defs/t"}},"$defs":{"t":{"maxLength":8}}}`, Breaking, Compatible},
	{"definition renamed", `{"$ref":"#/definitions/t","definitions":{"t":{"type":"string"}}}`, `{"$ref":"#/$defs/u","$defs":{"u":{"type":"string"}}}`, Compatible, Compatible},
	{"unused definition", `{"type":"string","$defs":{"t":{"type":"string"}}}`, `{"type":"string","$defs":{"t":{"type":"integer"}}}`, Compatible, Compatible},
	{"recursive, equal", `{"type":"object","properties":{"next":{"$ref":"#"}}}`, `{"title":"list","type":"object","properties":{"next":{"$ref":"#"}}}`, Compatible, Compatible},
	{
		"recursive, narrowed", `{"type":"object","properties":{"v":{"type":"number"},"next":{"$ref":"#"}}}`,
		`{"type":"object","properties":{"v":{"type":"integer"},"next":{"$ref":"#"}}}`, Breaking, Compatible,
	},
	{
		"recursive, unrolled", `{"type":"object","properties":{"next":{"$ref":"#"}}}`,
		`{"type":"object","properties":{"next":{"type":"object","properties":{"next":{"$ref":"#"}}}}}`, Compatible, Compatible,
	},
	{
		"recursive tree in an array", `{"$ref":"#/$defs/n","$defs":{"n":{"type":"object","required":["k"],"properties":{"k":{"type":"array","items":{"$ref":"#/$defs/n"}}}}}}`,
		`{"$ref":"#/$defs/n","$defs":{"n":{"type":"object","required":["k"],"properties":{"k":{"type":"array","maxItems":1,"items":{"$ref":"#/$defs/n"}}}}}}`, Breaking, Compatible,
	},
	{
		"mutually recursive", `{"$ref":"#/$defs/a","$defs":{"a":{"properties":{"b":{"$ref":"#/$defs/b"}}},"b":{"properties":{"a":{"$ref":"#/$defs/a"},"n":{"maximum":2}}}}}`,
		`{"$ref":"#/$defs/a","$defs":{"a":{"properties":{"b":{"$ref":"#/$defs/b"}}},"b":{"properties":{"a":{"$ref":"#/$defs/a"},"n":{"maximum":1}}}}}`, Breaking, Compatible,
	},
	{"sibling of a reference counts", `{"$ref":"#/$defs/t","$defs":{"t":{"type":"string"}}}`, `{"$ref":"#/$defs/t","minLength":1,"$defs":{"t":{"type":"string"}}}`, Breaking, Compatible},
	{"reference into properties", `{"properties":{"a":{"type":"string"},"b":{"$ref":"#/properties/a"}}}`, `{"properties":{"a":{"type":"string"},"b":{"type":"string"}}}`, Compatible, Compatible},
	{"escaped pointer", `{"$ref":"#/$defs/a~1b%20c","$defs":{"a/b c":{"type":"string"}}}`, `{"type":"string"}`, Compatible, Compatible},
	{"allOf is flattened", `{"allOf":[{"minimum":1},{"maximum":5}]}`, `{"minimum":1,"maximum":5}`, Compatible, Compatible},
	{
		"allOf part narrowed", `{"allOf":[{"$ref":"#/$defs/b"},{"required":["a"]}],"$defs":{"b":{"type":"object"}}}`,
		`{"allOf":[{"$ref":"#/$defs/b"},{"required":["a","c"]}],"$defs":{"b":{"type":"object"}}}`, Breaking, Compatible,
	},
	{"allOf part added", `{"allOf":[{"type":"integer"}]}`, `{"allOf":[{"type":"integer"},{"multipleOf":5}]}`, Breaking, Compatible},
	{
		"allOf with a closed part", `{"allOf":[{"properties":{"a":{}},"additionalProperties":false},{"properties":{"b":{"type":"string"}}}]}`,
		`{"properties":{"a":{}},"additionalProperties":false}`, Compatible, Compatible,
	},
}

var choiceChanges = []change{
	{"nullable by anyOf", `{"type":["string","null"]}`, `{"anyOf":[{"type":"string"},{"type":"null"}]}`, Compatible, Compatible},
	{"nullable by oneOf", `{"type":["string","null"],"maxLength":5}`, `{"oneOf":[{"type":"null"},{"type":"string","maxLength":5}]}`, Compatible, Compatible},
	{
		"nullable reference narrowed", `{"oneOf":[{"type":"null"},{"$ref":"#/$defs/t"}],"$defs":{"t":{"type":"string"}}}`,
		`{"oneOf":[{"type":"null"},{"$ref":"#/$defs/t"}],"$defs":{"t":{"type":"string","maxLength":5}}}`, Breaking, Compatible,
	},
	{"alternative added", `{"anyOf":[{"type":"string"}]}`, `{"anyOf":[{"type":"string"},{"type":"integer"}]}`, Compatible, Breaking},
	{"alternative removed", `{"anyOf":[{"type":"string"},{"type":"integer"}]}`, `{"anyOf":[{"type":"integer"}]}`, Breaking, Compatible},
	{"alternatives in another order", `{"anyOf":[{"maxLength":1},{"minimum":5}]}`, `{"anyOf":[{"minimum":5},{"maxLength":1}]}`, Compatible, Compatible},
	{"anyOf to oneOf, overlapping", `{"anyOf":[{"type":"integer"},{"type":"number"}]}`, `{"oneOf":[{"type":"integer"},{"type":"number"}]}`, Breaking, Compatible},
	{"oneOf with other titles", `{"oneOf":[{"title":"a","minimum":1},{"maximum":5}]}`, `{"oneOf":[{"title":"b","minimum":1},{"maximum":5}]}`, Compatible, Compatible},
	{
		"tagged union grows",
		`{"oneOf":[{"type":"object","required":["k"],"properties":{"k":{"const":"a"}}},{"type":"object","required":["k"],"properties":{"k":{"const":"b"}}}]}`,
		`{"oneOf":[{"type":"object","required":["k"],"properties":{"k":{"const":"a"}}},{"type":"object","required":["k"],"properties":{"k":{"const":"b"}}},{"type":"object","required":["k"],"properties":{"k":{"const":"c"}}}]}`,
		Compatible, Breaking,
	},
	{
		"tagged union narrowed inside",
		`{"oneOf":[{"required":["k"],"properties":{"k":{"const":"a"},"n":{"type":"number"}}},{"required":["k"],"properties":{"k":{"const":"b"}}}],"type":"object"}`,
		`{"oneOf":[{"required":["k"],"properties":{"k":{"const":"a"},"n":{"type":"integer"}}},{"required":["k"],"properties":{"k":{"const":"b"}}}],"type":"object"}`,
		Breaking, Compatible,
	},
	{"range covered by two alternatives only together", `{"type":"number","minimum":0,"maximum":10}`, `{"anyOf":[{"type":"number","maximum":5},{"type":"number","minimum":5}]}`, CannotTell, Breaking},
	{"not widened", `{"type":"string","not":{"maxLength":1}}`, `{"type":"string","not":{"maxLength":2}}`, Breaking, Compatible},
	{"not of what cannot be", `{"type":"string"}`, `{"type":"string","not":{"type":"integer"}}`, Compatible, Compatible},
}
