package publish

import (
	"context"

	librdkafka "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"eventgateway/internal/kafka"
	"eventgateway/internal/preflight"
)

// topics describes topics, in the order given.
func (in *inspector) topics(ctx context.Context, names []string) []preflight.TopicFacts {
	facts := make([]preflight.TopicFacts, len(names))
	for i, name := range names {
		facts[i].Name = name
	}
	if len(names) == 0 {
		return facts
	}
	var described librdkafka.DescribeTopicsResult
	err := in.ask(ctx, func(ctx context.Context, admin *librdkafka.AdminClient) (err error) {
		described, err = admin.DescribeTopics(ctx, librdkafka.NewTopicCollectionOfTopicNames(names),
			librdkafka.SetAdminOptionIncludeAuthorizedOperations(true), librdkafka.SetAdminRequestTimeout(inspectTimeout))
		return err
	})
	byName := map[string]librdkafka.TopicDescription{}
	for _, d := range described.TopicDescriptions {
		byName[d.Name] = d
	}
	for i, name := range names {
		d, ok := byName[name]
		if !ok {
			facts[i].Problem = "kafka did not answer for this topic"
			if err != nil {
				facts[i].Problem = reason(err)
			}
			continue
		}
		describe(&facts[i], d)
	}
	in.topicSettings(ctx, facts)
	return facts
}

// own describes the topics that the gateway keeps for itself.
func (in *inspector) own(ctx context.Context) []preflight.OwnTopic {
	var own []preflight.OwnTopic
	var names []string
	add := func(duty preflight.Duty, name string) {
		own = append(own, preflight.OwnTopic{Duty: duty})
		names = append(names, name)
	}
	if in.cfg.Transactional {
		add(preflight.ListsProducers, registryTopic(in.cfg))
	}
	if in.cfg.Registered {
		add(preflight.ListsGateways, gatewaysTopic(in.cfg))
	}
	if in.cfg.RememberTopics {
		add(preflight.NotesTopics, notesTopic(in.cfg))
	}
	for i, facts := range in.topics(ctx, names) {
		own[i].TopicFacts = facts
	}
	return own
}

func (in *inspector) tryOwnCreation(ctx context.Context, own []preflight.OwnTopic) {
	facts := make([]preflight.TopicFacts, len(own))
	for i := range own {
		facts[i] = own[i].TopicFacts
	}
	in.tryCreation(ctx, facts, func(name string) librdkafka.TopicSpecification { return compactedSpec(in.cfg, name) })
	for i := range own {
		own[i].TopicFacts = facts[i]
	}
}

func describe(facts *preflight.TopicFacts, d librdkafka.TopicDescription) {
	switch d.Error.Code() {
	case librdkafka.ErrNoError:
		facts.Presence = preflight.Present
	case librdkafka.ErrUnknownTopicOrPart:
		facts.Presence = preflight.Missing
		return
	case librdkafka.ErrTopicAuthorizationFailed:
		facts.Presence = preflight.Hidden
		return
	default:
		facts.Problem = d.Error.Error()
		return
	}
	for _, p := range d.Partitions {
		partition := preflight.PartitionFacts{ID: p.Partition, Replicas: len(p.Replicas), InSync: len(p.Isr)}
		if p.Leader != nil && p.Leader.ID >= 0 {
			partition.Led, partition.Leader = true, p.Leader.ID
		}
		facts.Partitions = append(facts.Partitions, partition)
	}
	facts.Allowed = operations(d.AuthorizedOperations)
}

// operations translates what Kafka allows. Some brokers do not say: nil stays nil.
func operations(granted []librdkafka.ACLOperation) preflight.Operations {
	if granted == nil {
		return nil
	}
	allowed := preflight.Operations{}
	for _, o := range granted {
		switch o {
		case librdkafka.ACLOperationDescribe:
			allowed[preflight.Describe] = true
		case librdkafka.ACLOperationDescribeConfigs:
			allowed[preflight.DescribeConfigs] = true
		case librdkafka.ACLOperationRead:
			allowed[preflight.Read] = true
		case librdkafka.ACLOperationWrite:
			allowed[preflight.Write] = true
		default: // nothing that a gateway does
		}
	}
	return allowed
}

// topicSettings adds the settings of the topics that exist.
func (in *inspector) topicSettings(ctx context.Context, facts []preflight.TopicFacts) {
	at := map[string]*preflight.TopicFacts{}
	var resources []librdkafka.ConfigResource
	for i := range facts {
		if facts[i].Presence == preflight.Present {
			at[facts[i].Name] = &facts[i]
			resources = append(resources, librdkafka.ConfigResource{Type: librdkafka.ResourceTopic, Name: facts[i].Name})
		}
	}
	if len(resources) == 0 {
		return
	}
	var results []librdkafka.ConfigResourceResult
	err := in.ask(ctx, func(ctx context.Context, admin *librdkafka.AdminClient) (err error) {
		results, err = admin.DescribeConfigs(ctx, resources, librdkafka.SetAdminRequestTimeout(inspectTimeout))
		return err
	})
	for _, t := range at {
		if err != nil {
			t.SettingsProblem = reason(err)
		}
	}
	for _, r := range results {
		t := at[r.Name]
		switch {
		case t == nil:
		case r.Error.Code() != librdkafka.ErrNoError:
			t.SettingsProblem = r.Error.Error()
		default:
			t.Settings = settingsOf(r)
		}
	}
}

// tryCreation asks Kafka whether it would create the missing topics as specified.
// Nothing is created.
func (in *inspector) tryCreation(ctx context.Context, facts []preflight.TopicFacts, specify func(name string) librdkafka.TopicSpecification) {
	at := map[string]*preflight.TopicFacts{}
	var specs []librdkafka.TopicSpecification
	for i := range facts {
		if facts[i].Presence == preflight.Missing {
			at[facts[i].Name] = &facts[i]
			specs = append(specs, specify(facts[i].Name))
		}
	}
	if len(specs) == 0 {
		return
	}
	results, err := in.create(ctx, specs, true)
	for name, t := range at {
		failure, answered := results[name]
		switch code, _ := kafka.ErrorCode(failure); {
		case err != nil:
			t.Problem = reason(err)
		case !answered || code == librdkafka.ErrRequestTimedOut: // the controller did not tell the broker
			t.Problem = "no answer for this topic"
		case code == librdkafka.ErrTopicAlreadyExists:
			t.Presence, t.Problem = preflight.Unclear, "somebody created it this moment"
		default:
			t.Creation = &preflight.CreationFacts{NotAllowed: NotAllowed(failure)}
			if failure != nil {
				t.Creation.Refused = reason(failure)
			}
		}
	}
}
