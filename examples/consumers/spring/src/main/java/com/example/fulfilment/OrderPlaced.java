package com.example.fulfilment;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;

/** The data of the event type orders.placed, as far as this service needs them. */
@JsonIgnoreProperties(ignoreUnknown = true)
public record OrderPlaced(String customer, long amount) {
}
