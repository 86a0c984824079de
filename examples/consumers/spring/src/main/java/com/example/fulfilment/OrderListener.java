package com.example.fulfilment;

import java.nio.charset.StandardCharsets;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.stereotype.Component;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

/** Reads orders from Kafka. What it throws is handled by the error handler of KafkaErrors. */
@Component
public class OrderListener {
    private final CustomerTotals totals;
    private final JsonMapper json;

    public OrderListener(CustomerTotals totals, JsonMapper json) {
        this.totals = totals;
        this.json = json;
    }

    @KafkaListener(topics = "${fulfilment.topic}")
    public void orderPlaced(ConsumerRecord<String, byte[]> record) {
        if (record.value() == null) {
            return; // a tombstone: this service has nothing to delete
        }
        totals.add(attribute(record, "ce_source"), attribute(record, "ce_id"), parse(record.value()));
    }

    private OrderPlaced parse(byte[] value) {
        OrderPlaced order;
        try {
            order = json.readValue(value, OrderPlaced.class);
        } catch (JacksonException e) {
            throw new InvalidEventException("the value is not an order", e);
        }
        if (order == null || order.customer() == null) {
            throw new InvalidEventException("the order has no customer");
        }
        return order;
    }

    private static String attribute(ConsumerRecord<?, ?> record, String name) {
        Header header = record.headers().lastHeader(name);
        if (header == null || header.value() == null) {
            throw new InvalidEventException("the header " + name + " is missing");
        }
        return new String(header.value(), StandardCharsets.UTF_8);
    }
}
