package com.example.fulfilment;

import org.apache.kafka.common.TopicPartition;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.core.KafkaOperations;
import org.springframework.kafka.listener.DeadLetterPublishingRecoverer;
import org.springframework.kafka.listener.DefaultErrorHandler;
import org.springframework.kafka.support.ExponentialBackOffWithMaxRetries;

/** What happens to events that the listener cannot handle. */
@Configuration
public class KafkaErrors {
    /**
     * Tries an event again with growing pauses, and then writes it to the dead-letter topic.
     * The record keeps its key, value and headers; Spring adds where it came from. Its
     * partition is chosen by the key (-1), so the topic may have fewer partitions.
     */
    @Bean
    public DefaultErrorHandler errorHandler(KafkaOperations<?, ?> kafka) {
        var deadLetters = new DeadLetterPublishingRecoverer(kafka,
                (record, failure) -> new TopicPartition(record.topic() + ".fulfilment.dlt", -1));
        deadLetters.setFailIfSendResultIsError(true); // the offset is not committed then

        // The partition waits during the pauses: all of them together must stay below
        // max.poll.interval.ms, 5 minutes.
        var pauses = new ExponentialBackOffWithMaxRetries(5);
        pauses.setInitialInterval(500);
        pauses.setMultiplier(2);
        pauses.setMaxInterval(10_000);

        var handler = new DefaultErrorHandler(deadLetters, pauses);
        handler.addNotRetryableExceptions(InvalidEventException.class);
        return handler;
    }
}
