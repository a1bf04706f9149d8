// How long one record takes in Kafka, in microseconds: until its answer, or until a consumer has it. The next record
// is sent when the one before is done.
//
//   java -cp <Kafka's jars> Latency.java <address> <topic> ack|read

import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Latency {
    private static final long WARM_UP_NANOS = 4_000_000_000L;
    private static final long MEASURED_NANOS = 5_000_000_000L;

    public static void main(String[] args) throws Exception {
        String address = args[0], topic = args[1];
        boolean reads = args[2].equals("read");
        Properties settings = new Properties();
        settings.put("bootstrap.servers", address);
        settings.put("acks", "all");
        settings.put("linger.ms", "0");
        settings.put("fetch.min.bytes", "1");
        byte[] value = new byte[1024];
        new java.util.Random(7).nextBytes(value);
        long[] nanos = new long[10_000_000];
        int count = 0;
        try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
                var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long started = System.nanoTime();
            long sent;
            while ((sent = System.nanoTime()) - started < WARM_UP_NANOS + MEASURED_NANOS && count < nanos.length) {
                var answer = producer.send(new ProducerRecord<>(topic, 0, null, value));
                if (reads) {
                    while (consumer.poll(Duration.ofSeconds(5)).isEmpty()) {
                        // Nothing yet.
                    }
                } else {
                    answer.get();
                }
                if (sent - started > WARM_UP_NANOS) {
                    nanos[count++] = System.nanoTime() - sent;
                }
            }
        }
        long[] sorted = Arrays.copyOf(nanos, count);
        Arrays.sort(sorted);
        System.out.printf("%.1f %.1f %.1f%n", at(sorted, 0.5), at(sorted, 0.99), at(sorted, 0.999));
    }

    private static double at(long[] sorted, double part) {
        return sorted[Math.min(sorted.length - 1, (int) (sorted.length * part))] / 1000.0;
    }
}
