package kafka

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ClientName names the library that writes records.
type ClientName string

// The clients, and the rule that chooses one of them.
const (
	ClientAuto       ClientName = "auto"
	ClientFranz      ClientName = "franz"
	ClientLibrdkafka ClientName = "librdkafka"
)

// ClientChoice is the client that writes, and the reason in plain English.
type ClientChoice struct {
	Client ClientName // ClientFranz or ClientLibrdkafka
	Reason string
}

// ChooseClient decides which client writes. ClientAuto is franz-go wherever the
// connection can be expressed in it. It connects to nothing, but reads the files of
// certificates and keys that the properties name.
//
// The error is a [PropertyErrors], unless there is no such client.
func ChooseClient(configured ClientName, c Connection) (ClientChoice, error) {
	impossible := c.loginErrors()
	switch configured {
	case ClientLibrdkafka:
		if len(impossible) > 0 {
			return ClientChoice{}, impossible.sorted()
		}
		return ClientChoice{ClientLibrdkafka, "kafka.client is librdkafka"}, nil
	case ClientFranz, ClientAuto:
	default:
		return ClientChoice{}, fmt.Errorf("the client that is configured is none of %s, %s and %s", ClientAuto, ClientFranz, ClientLibrdkafka)
	}
	_, missing, err := c.FranzOptions()
	var wrong PropertyErrors
	if err != nil && !errors.As(err, &wrong) {
		return ClientChoice{}, err
	}
	if len(impossible) > 0 { // what franz-go lacks of it librdkafka lacks, too
		for _, w := range wrong {
			if !slices.ContainsFunc(impossible, func(i PropertyError) bool { return i.Name == w.Name }) {
				impossible = append(impossible, w)
			}
		}
		return ClientChoice{}, impossible.sorted()
	}
	if configured == ClientFranz {
		for _, m := range missing {
			wrong = append(wrong, PropertyError{
				Name: m.Name, Problem: "cannot be used with kafka.client: franz: " + m.Reason, Fix: "leave it out, or write kafka.client: auto or librdkafka",
			})
		}
	}
	switch {
	case len(wrong) > 0:
		return ClientChoice{}, wrong.sorted()
	case configured == ClientFranz:
		return ClientChoice{ClientFranz, "kafka.client is franz"}, nil
	case len(missing) > 0:
		return ClientChoice{ClientLibrdkafka, onlyLibrdkafka(missing)}, nil
	}
	return ClientChoice{ClientFranz, "franz-go can express all of kafka.properties"}, nil
}

func onlyLibrdkafka(missing []Untranslated) string {
	reasons := make([]string, len(missing))
	for i, m := range missing {
		reasons[i] = "kafka.properties." + m.Name + ": " + m.Reason
	}
	return strings.Join(reasons, "; ")
}
