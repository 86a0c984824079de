package webhook

import (
	"net/http"

	"eventgateway/internal/strictjson"
)

func plainAnswer(body string) *Answer {
	return &Answer{Status: http.StatusOK, ContentType: "text/plain; charset=utf-8", Body: []byte(body)}
}

// answerPing answers a ping that a header announces.
func answerPing(header, ping string) func(content) *Answer {
	return func(c content) *Answer {
		if c.header.Get(header) == ping {
			return plainAnswer("pong\n")
		}
		return nil
	}
}

// answerIntercom answers the ping that Intercom sends when a webhook is saved.
func answerIntercom(c content) *Answer {
	if text(c.data, strictjson.Pointer{"topic"}) == "ping" {
		return plainAnswer("pong\n")
	}
	return nil
}

// answerSlack answers what Slack sends to check the URL: the challenge of the Events
// API, and the ssl_check of slash commands.
func answerSlack(c content) *Answer {
	if text(c.data, strictjson.Pointer{"type"}) == "url_verification" {
		return plainAnswer(text(c.data, strictjson.Pointer{"challenge"}))
	}
	if c.form && text(c.data, strictjson.Pointer{"ssl_check"}) == "1" {
		return plainAnswer("")
	}
	return nil
}

// slackType is the type of a slash command, which has no type in its body: its name
// is the user's choice.
func slackType(data []byte) string {
	if text(data, strictjson.Pointer{"command"}) != "" {
		return "slash_command"
	}
	return ""
}
