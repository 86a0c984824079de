package com.example.fulfilment;

import org.springframework.dao.DuplicateKeyException;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;
import org.springframework.transaction.support.TransactionTemplate;

/** What each customer has ordered. An event counts once, however often it is delivered. */
@Component
public class CustomerTotals {
    private final JdbcClient jdbc;
    private final TransactionTemplate transaction;

    public CustomerTotals(JdbcClient jdbc, TransactionTemplate transaction) {
        this.jdbc = jdbc;
        this.transaction = transaction;
    }

    /**
     * Adds an order. The event's id and its effect are written in one transaction: after a
     * crash either both are there, or neither.
     */
    public void add(String source, String id, OrderPlaced order) {
        try {
            transaction.executeWithoutResult(status -> {
                jdbc.sql("insert into handled_events (source, id) values (?, ?)").params(source, id).update();
                int changed = jdbc.sql("update customer_totals set total = total + ? where customer = ?")
                        .params(order.amount(), order.customer()).update();
                if (changed == 0) {
                    jdbc.sql("insert into customer_totals (customer, total) values (?, ?)")
                            .params(order.customer(), order.amount()).update();
                }
            });
        } catch (DuplicateKeyException e) {
            // Either the event was handled before, or another thread has just made the
            // customer's row. Only the first may be ignored.
            if (!handled(source, id)) {
                throw e;
            }
        }
    }

    private boolean handled(String source, String id) {
        return jdbc.sql("select count(*) from handled_events where source = ? and id = ?")
                .params(source, id).query(Long.class).single() > 0;
    }
}
