create table if not exists customer_totals (
    customer text primary key,
    total    bigint not null
);

-- Which events have taken effect. Rows may be deleted when no delivery of the event can
-- come any more: after the retention of its topic.
create table if not exists handled_events (
    source     text not null,
    id         text not null,
    handled_at timestamp with time zone not null default current_timestamp,
    primary key (source, id)
);
