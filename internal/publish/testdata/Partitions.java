import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.Utils;

/**
 * Prints, as a JSON array, which partition the Java client gives to keys. The output is the same on every run. With
 * the address of an empty broker as argument, it also sends every key through a real KafkaProducer with its default
 * partitioner and fails unless the record went where the array says. README.md has the command.
 */
public class Partitions {
    record Vector(String key, int partitions, int partition, int murmur2) {
        byte[] bytes() {
            return key.getBytes(StandardCharsets.UTF_8);
        }
    }

    static final int[] COUNTS = {1, 2, 3, 6, 7, 12, 50, 100, 1000};

    public static void main(String[] args) throws Exception {
        List<Vector> vectors = new ArrayList<>();
        for (String key : keys()) {
            byte[] bytes = key.getBytes(StandardCharsets.UTF_8);
            // Each key with two of the nine counts, in turn.
            for (int i = 0; i < 2; i++) {
                int n = COUNTS[vectors.size() % COUNTS.length];
                vectors.add(new Vector(key, n, BuiltInPartitioner.partitionForKey(bytes, n), Utils.murmur2(bytes)));
            }
        }
        if (args.length > 0) {
            send(args[0], vectors);
        }
        byte[] json = vectors.stream()
                .map(v -> String.format("  {\"key\": \"%s\", \"partitions\": %d, \"partition\": %d, \"murmur2\": %d}",
                        escape(v.key()), v.partitions(), v.partition(), v.murmur2()))
                .collect(Collectors.joining(",\n", "[\n", "\n]\n"))
                .getBytes(StandardCharsets.UTF_8);
        System.out.write(json, 0, json.length);
        System.out.flush();
    }

    static List<String> keys() {
        Random random = new Random(20261123); // java.util.Random is specified: every JVM draws the same numbers
        List<String> keys = new ArrayList<>();
        for (int length = 0; length <= 70; length++) { // murmur2 eats 4 bytes at a time: every tail length, often
            StringBuilder b = new StringBuilder();
            for (int i = 0; i < length; i++) {
                b.append((char) (' ' + random.nextInt(95)));
            }
            keys.add(b.toString());
            if (length > 0) {
                keys.add("x".repeat(length));
            }
        }
        keys.addAll(List.of("Größe", "Straße 7", "ÄÖÜäöüß", "Δοκιμή", "παραγγελία-42", "Ω", "заказ", "注文", "订单-20261123",
                "주문", "東京都千代田区", "ภาษาไทย", "שלום", "😀", "👩‍👩‍👧‍👦", "🇩🇪", "a😀b", "é", "e\u0301", "\u0000", "a\u0000b", "\n\t",
                "\u007f", "\uffff", "\ud83d\ude80".repeat(9), "\"quoted\\\"", "\u2028"));
        String letters = "äßøéЖλ中文字語한🙂";
        int[] points = letters.codePoints().toArray();
        for (int length = 1; length <= 24; length++) {
            StringBuilder b = new StringBuilder();
            for (int i = 0; i < length; i++) {
                b.appendCodePoint(points[random.nextInt(points.length)]);
            }
            keys.add(b.toString());
        }
        for (int i = 0; i < 40; i++) {
            keys.add(new UUID(random.nextLong(), random.nextLong()).toString());
            keys.add("order-" + (1000 + i));
            keys.add(String.valueOf(random.nextLong()));
        }
        keys.addAll(List.of(":", "::", "a:b", "a:b%3Ac", "a%3Ab:c", "a%25b:c", ":a", "a:", "%3A:%3A", "null:1", "true:false",
                "tenant-1:order-7", "tenant%3A1:order-7", "Köln:Straße 7", "注文:%25:😀", "1:2:3:4:5:6:7:8"));
        return keys;
    }

    /** Sends every vector's key to a topic with the vector's number of partitions. */
    static void send(String broker, List<Vector> vectors) throws Exception {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", broker));
        try (Admin admin = Admin.create(config)) {
            admin.createTopics(IntStream.of(COUNTS).mapToObj(n -> new NewTopic(topic(n), n, (short) 1)).toList()).all().get();
        }
        try (var producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (Vector v : vectors) {
                RecordMetadata sent = producer.send(new ProducerRecord<>(topic(v.partitions()), v.bytes(), new byte[0])).get();
                if (sent.partition() != v.partition()) {
                    throw new IllegalStateException(v + " was sent to partition " + sent.partition());
                }
            }
        }
        System.err.println("KafkaProducer agrees on all " + vectors.size() + " vectors");
    }

    static String topic(int partitions) {
        return "partitions-" + partitions;
    }

    static String escape(String s) {
        StringBuilder b = new StringBuilder();
        for (char c : s.toCharArray()) {
            if (c == '"' || c == '\\') {
                b.append('\\').append(c);
            } else if (c < ' ' || c == 0x7f || c == 0x2028 || c == 0x2029 || c == 0xffff) {
                b.append(String.format("\\u%04x", (int) c));
            } else {
                b.append(c);
            }
        }
        return b.toString();
    }
}
