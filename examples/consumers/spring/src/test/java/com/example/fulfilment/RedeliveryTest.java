package com.example.fulfilment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.test.EmbeddedKafkaBroker;
import org.springframework.kafka.test.context.EmbeddedKafka;
import org.springframework.kafka.test.utils.KafkaTestUtils;

@SpringBootTest(properties = {
    "spring.datasource.url=jdbc:h2:mem:fulfilment;MODE=PostgreSQL;DB_CLOSE_DELAY=-1",
    "spring.datasource.username=sa",
    "spring.kafka.listener.concurrency=1",
    "spring.kafka.bootstrap-servers=${spring.embedded.kafka.brokers}",
})
@EmbeddedKafka(partitions = 1, topics = {"orders.placed", "orders.placed.fulfilment.dlt"})
class RedeliveryTest {
    @Autowired
    private KafkaTemplate<String, byte[]> kafka;
    @Autowired
    private JdbcClient jdbc;
    @Autowired
    private EmbeddedKafkaBroker broker;

    private void publish(String id, String value) {
        var record = new ProducerRecord<>("orders.placed", "c-1", value.getBytes(StandardCharsets.UTF_8));
        record.headers().add("ce_id", id.getBytes(StandardCharsets.UTF_8));
        record.headers().add("ce_source", "/clients/web".getBytes(StandardCharsets.UTF_8));
        kafka.send(record).join();
    }

    @Test
    void countsAnEventOnceAndGivesUpWhatIsInvalid() {
        publish("1", "{\"customer\":\"c-1\",\"amount\":10}");
        publish("1", "{\"customer\":\"c-1\",\"amount\":10}");
        publish("2", "not an order");
        publish("3", "{\"customer\":\"c-1\",\"amount\":5}");
        publish("1", "{\"customer\":\"c-1\",\"amount\":10}");
        publish("4", "{\"customer\":\"c-1\",\"amount\":1}");

        await().atMost(Duration.ofMinutes(1)).untilAsserted(() -> assertThat(jdbc
                .sql("select total from customer_totals where customer = 'c-1'")
                .query(Long.class).optional()).contains(16L));

        Map<String, Object> config = KafkaTestUtils.consumerProps(broker, "test", false);
        config.put("auto.offset.reset", "earliest");
        try (var consumer = new DefaultKafkaConsumerFactory<>(config, new StringDeserializer(), new ByteArrayDeserializer()).createConsumer()) {
            broker.consumeFromAnEmbeddedTopic(consumer, "orders.placed.fulfilment.dlt");
            ConsumerRecord<String, byte[]> letter = KafkaTestUtils.getSingleRecord(consumer, "orders.placed.fulfilment.dlt");
            assertThat(letter.key()).isEqualTo("c-1");
            assertThat(new String(letter.value(), StandardCharsets.UTF_8)).isEqualTo("not an order");
            assertThat(letter.headers().lastHeader("ce_id").value()).isEqualTo("2".getBytes(StandardCharsets.UTF_8));
        }
    }
}
