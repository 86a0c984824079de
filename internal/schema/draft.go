package schema

import "strings"

// draftURLs are the metaschemas of the drafts that schema files may be of.
var draftURLs = map[string]string{
	"4":       "http://json-schema.org/draft-04/schema#",
	"6":       "http://json-schema.org/draft-06/schema#",
	"7":       "http://json-schema.org/draft-07/schema#",
	"2019-09": "https://json-schema.org/draft/2019-09/schema",
	"2020-12": "https://json-schema.org/draft/2020-12/schema",
}

// draftOf is the draft that a file is of, 2020-12 if it does not say.
func draftOf(tree any) string {
	root, _ := tree.(map[string]any)
	named, _ := root["$schema"].(string)
	for draft, u := range draftURLs {
		if strings.TrimSuffix(named, "#") == strings.TrimSuffix(u, "#") {
			return draft
		}
	}
	return "2020-12"
}

// idOf is "$id", or "id" in draft 4.
func idOf(draft string) string {
	if draft == "4" {
		return "id"
	}
	return "$id"
}
